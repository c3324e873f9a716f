"""Which source goes where: a run's deliveries, worked out for each source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maskstream.stream.addresses.redact import place_of
from maskstream.stream.delivery import (
    RESULTS_SUFFIX,
    Delivery,
    parse_delivery,
    parse_results,
)
from maskstream.stream.options import RunOptions

_VIDEO_SUFFIX = ".mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Where one source goes."""

    videos: tuple[str, ...] = ()
    """Paths of recordings and live playlists."""
    results: tuple[str, ...] = ()
    """Paths of files."""
    endpoints: tuple[str, ...] = ()
    """Of ZeroMQ, for results."""
    viewers: tuple[Delivery, ...] = ()
    """Whoever looks on: windows, pages, publishers, servers."""

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all that is written."""
        return (*self.videos, *self.results)


def destinations_of(options: RunOptions) -> tuple[Destinations, ...]:
    """Returns where each source goes, by source id.

    Raises:
        OutputError: A delivery is of no kind that there is.
    """
    stems = _stems(options)
    return tuple(_of_source(options, source_id, stem) for source_id, stem in enumerate(stems))


def _of_source(options: RunOptions, source_id: int, stem: str) -> Destinations:
    own = options.of(source_id)
    outputs = options.outputs if own.outputs is None else own.outputs
    results = options.results if own.results is None else own.results
    deliveries = [parse_delivery(text) for text in outputs]
    places = [parse_results(text) for text in results]
    files = ("video", "hls", "folder")
    return Destinations(
        videos=tuple(_path(d, stem, _VIDEO_SUFFIX) for d in deliveries if d.kind in files),
        results=(
            *(d.text for d in deliveries if d.kind == "results"),
            *(_path(d, stem, RESULTS_SUFFIX) for d in places if d.kind != "results_endpoint"),
        ),
        endpoints=tuple(d.text for d in places if d.kind == "results_endpoint"),
        viewers=tuple(d for d in deliveries if d.kind not in (*files, "results", "null")),
    )


def _path(delivery: Delivery, stem: str, suffix: str) -> str:
    is_folder = delivery.kind == "folder"
    return str(delivery.path / f"{stem}{suffix}") if is_folder else delivery.text


def _stems(options: RunOptions) -> list[str]:
    """Returns a file name without suffix for each source, no two alike."""
    stems = [options.of(i).name or _stem(uri) for i, uri in enumerate(options.sources)]
    stems = [_as_file_name(stem) for stem in stems]
    return [
        stem if stems.count(stem) == 1 else f"{stem}-{source_id}"
        for source_id, stem in enumerate(stems)
    ]


def _stem(uri: str) -> str:
    place = place_of(uri).rstrip("/")
    # A file's name is enough; an address is told apart by host and path, never by a password.
    return place if "://" in uri else Path(place).stem


def _as_file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_. " else "-" for c in text) or "source"
