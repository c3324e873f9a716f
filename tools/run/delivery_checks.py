"""Whether what a run is to write can be written, and over nothing that it reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskstream.errors import ConfigError, MaskstreamError, OutputError
from maskstream.stream.addresses.http_address import parse_address
from maskstream.stream.arguments import RunArguments, arguments_of
from maskstream.stream.delivery import Delivery
from maskstream.stream.network.zmq_socket import parse_endpoint
from maskstream.stream.options import RunOptions
from maskstream.stream.recording.hls import check_hls
from maskstream.stream.recording.paths import check_output
from maskstream.tools.arguments.checks import check_file, check_folder


@dataclass(frozen=True, slots=True)
class Target:
    """One place that a run writes to or sends to."""

    delivery: Delivery | None
    """None for the report."""
    path: Path
    """Of a file or folder, or of the report."""
    source_ids: tuple[int, ...]
    """Of the sources that go there."""
    is_own: bool = False
    """Whether it is a source's own, not the run's."""

    @property
    def key(self) -> str:
        """The argument that names such a place."""
        return "report" if self.delivery is None else self.delivery.key

    @property
    def option(self) -> str:
        """The option that names such a place."""
        return arguments_of(RunArguments)[self.key].flag


def check_outputs(options: RunOptions, report: Path | None) -> None:
    """Check that everything a run is to write can be written, and over nothing that it reads.

    Raises:
        ConfigError: The first thing that is wrong, with the place and what would be right.
        OutputError: The same.
    """
    for _, problem in output_problems(options, report):
        raise problem


def output_problems(
    options: RunOptions, report: Path | None
) -> Iterator[tuple[Target, MaskstreamError]]:
    """Yield everything that keeps a run from writing what it is to write, with its place."""
    targets = [*targets_of(options)]
    if report is not None:
        targets.append(Target(None, report, ()))
    seen: dict[Path, Target] = {}
    for target in targets:
        try:
            _check_target(target, options.sources)
            if target.delivery is None or target.delivery.is_file:
                _check_apart(target, seen, options.sources)
        except MaskstreamError as exc:
            yield target, exc


def targets_of(options: RunOptions) -> Iterator[Target]:
    """Yield the places that frames and results go to: those of the run, then those of sources."""
    own = [options.of(source_id).deliveries for source_id in range(len(options.sources))]
    for delivery in options.deliveries:
        ids = [i for i, places in enumerate(own) if places is None or delivery in places]
        yield Target(delivery, delivery.path, tuple(ids))
    for source_id, places in enumerate(own):
        for delivery in places or ():
            if delivery not in options.deliveries:
                yield Target(delivery, delivery.path, (source_id,), is_own=True)


def _check_target(target: Target, sources: Sequence[str]) -> None:
    """Check one place by itself."""
    delivery = target.delivery
    if delivery is None:
        check_file(target.path)
        return
    if len(target.source_ids) > 1 and not delivery.is_shared:
        raise OutputError(_not_shared(delivery, len(target.source_ids)))
    if delivery.kind == "video":
        check_output(delivery.path, sources)
    elif delivery.kind in ("folder", "results_folder"):
        check_folder(delivery.path, delivery.path)
        _check_not_beside(delivery.path, [sources[i] for i in target.source_ids])
    elif delivery.kind == "hls":
        check_hls(delivery.path)
    elif delivery.kind == "results":
        check_file(delivery.path)
    else:
        _check_address(delivery)


def _not_shared(delivery: Delivery, source_count: int) -> str:
    """Returns why several sources cannot go to one place, and what they need."""
    own = "or give each source its own in a file: --config FILE"
    if delivery.kind == "publish":
        return (
            f"{delivery.shown}: takes one source, not {source_count}; give each its own in a file: "
            "--config FILE."
        )
    if delivery.kind == "hls":
        return f"{delivery.text}: takes one source, not {source_count}; name a folder, {own}."
    folder = delivery.path.with_suffix("")
    return (
        f"{delivery.text}: no folder, as {source_count} sources need; make one and name it "
        f"instead: mkdir -p {folder}, {own}."
    )


def _check_address(delivery: Delivery) -> None:
    """Check a place that is no file, without taking it."""
    # Imported when needed: windows, pages and servers bring libraries that most runs do without.
    if delivery.kind == "results_endpoint":
        if not parse_endpoint(delivery.text).is_loopback:
            raise ConfigError(
                f"{delivery.text}: other machines could read the results there; use 127.0.0.1."
            )
    elif delivery.kind == "publish":
        from maskstream.stream.viewers.push.push import check_publish

        check_publish(delivery.text)
    elif delivery.kind == "rtsp_server":
        from maskstream.stream.viewers.rtsp.address import parse_rtsp_server

        parse_rtsp_server(delivery.text)
    elif delivery.kind == "window":
        from maskstream.stream.viewers.window.window import check_display

        check_display()
    elif delivery.kind == "page":
        try:
            parse_address(delivery.address)
        except ConfigError as exc:
            raise ConfigError(
                f"{delivery.shown}: no IP address with a port; write it as http://127.0.0.1:8080."
            ) from exc


def _check_not_beside(folder: Path, sources: Sequence[str]) -> None:
    """Check that no source lies in the folder where videos are named after their sources."""
    for source in sources:
        if Path(source).is_file() and folder.samefile(Path(source).parent):
            raise ConfigError(
                f"{folder}: the source {source} lies in it and would be written over; "
                "choose another folder."
            )


def _check_apart(target: Target, seen: dict[Path, Target], sources: Sequence[str]) -> None:
    """Check that no two outputs are one file and that none is a source."""
    path = target.path
    place = path.resolve()
    other = seen.setdefault(place, target)
    if other is not target and not place.is_dir():
        raise OutputError(
            f"{path}: {_named(other)} and {_named(target)} both name it; name two files."
        )
    if place.is_file() and any(_is_same_file(place, source) for source in sources):
        raise OutputError(f"{path}: it is the source itself; name another file.")


def _named(target: Target) -> str:
    """Returns who names a target, for a message."""
    return f"source {target.source_ids[0] + 1}" if target.is_own else target.option


def _is_same_file(path: Path, source: str) -> bool:
    """Whether a source is a file, and that one."""
    try:
        return path.samefile(source)
    except OSError:
        return False  # a stream, or nothing at all: opening it will tell
