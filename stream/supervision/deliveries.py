"""Which source goes where: a run's deliveries, worked out for each source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from maskstream.stream.addresses.redact import place_of
from maskstream.stream.delivery import Delivery
from maskstream.stream.options import RunOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDeliveries:
    """Where one source goes."""

    videos: tuple[str, ...] = ()
    """Paths of recordings and live playlists."""
    results: tuple[str, ...] = ()
    """Paths of files."""
    endpoints: tuple[str, ...] = ()
    """Of ZeroMQ, for results."""
    viewers: tuple[Delivery, ...] = ()
    """Windows, pages, servers, receivers."""

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all that is written."""
        return (*self.videos, *self.results)


def deliveries_of(options: RunOptions) -> tuple[SourceDeliveries, ...]:
    """Return where each source goes, by source id."""
    stems = _stems(options)
    return tuple(_of_source(options, source_id, stem) for source_id, stem in enumerate(stems))


def _of_source(options: RunOptions, source_id: int, stem: str) -> SourceDeliveries:
    own = options.of(source_id).deliveries
    deliveries = options.deliveries if own is None else own
    return SourceDeliveries(
        videos=tuple(d.file_of(stem) for d in deliveries if d.kind in ("video", "hls", "folder")),
        results=tuple(
            d.file_of(stem) for d in deliveries if d.kind in ("results", "results_folder")
        ),
        endpoints=tuple(d.text for d in deliveries if d.kind == "results_endpoint"),
        viewers=tuple(d for d in deliveries if d.is_viewer),
    )


def _stems(options: RunOptions) -> list[str]:
    """Return a file name without suffix for each source, no two alike."""
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
