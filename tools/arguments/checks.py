"""Checks at the edge: what a run is to write and which classes it keeps, before anything starts."""

import difflib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maskstream.errors import ConfigError, MaskstreamError, OutputError
from maskstream.stream.addresses.http_address import parse_address
from maskstream.stream.delivery import Delivery, parse_delivery, parse_results
from maskstream.stream.network.zmq_socket import parse_endpoint
from maskstream.stream.options import RunOptions
from maskstream.stream.recording.hls import check_hls
from maskstream.stream.recording.paths import check_output

LISTED_CLASSES_MAX = 10


@dataclass(frozen=True, slots=True)
class Target:
    """One place that a run writes to or sends to."""

    key: Literal["outputs", "results", "report"]
    text: str
    source_ids: tuple[int, ...]
    """Of the sources that go there."""
    is_own: bool = False
    """Whether it is a source's own, not the run's."""

    @property
    def option(self) -> str:
        """Returns the option that names such a place."""
        return "--output" if self.key == "outputs" else f"--{self.key}"


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
    """Yields everything that keeps a run from writing what it is to write, with its place."""
    targets = [*targets_of(options)]
    if report is not None:
        targets.append(Target("report", str(report), ()))
    seen: dict[Path, Target] = {}
    for target in targets:
        try:
            path = _check_target(target, options.sources)
            if path is not None:
                _check_apart(path, target, seen, options.sources)
        except MaskstreamError as exc:
            yield target, exc


def targets_of(options: RunOptions) -> Iterator[Target]:
    """Yields the outputs and places for results of a run: the common ones, then sources' own."""
    source_ids = range(len(options.sources))
    with_outputs = tuple(i for i in source_ids if options.of(i).outputs is None)
    with_results = tuple(i for i in source_ids if options.of(i).results is None)
    yield from (Target("outputs", text, with_outputs) for text in options.outputs)
    yield from (Target("results", text, with_results) for text in options.results)
    for source_id in source_ids:
        own = options.of(source_id)
        for text in own.outputs or ():
            yield Target("outputs", text, (source_id,), is_own=True)
        for text in own.results or ():
            yield Target("results", text, (source_id,), is_own=True)


def class_ids_of(names: str, class_names: Sequence[str]) -> frozenset[int]:
    """Return the ids of comma-separated class names.

    Args:
        class_names: Of the engine, by class id.

    Raises:
        ConfigError: A name is not among them; the nearest is suggested.
    """
    wanted = [name for part in names.split(",") if (name := part.strip())]
    if not wanted:
        raise ConfigError(f"--classes: {names!r} names no class; {_known(class_names)}.")
    for name in wanted:
        if name not in class_names:
            near = difflib.get_close_matches(name.lower(), class_names, n=1, cutoff=0.5)
            needed = f"did you mean {near[0]!r}?" if near else f"{_known(class_names)}."
            raise ConfigError(f"--classes: the engine does not know {name!r}; {needed}")
    return frozenset(class_names.index(name) for name in wanted)


def _known(class_names: Sequence[str]) -> str:
    """Return which classes there are to choose from."""
    listed = ", ".join(class_names[:LISTED_CLASSES_MAX])
    more = len(class_names) - LISTED_CLASSES_MAX
    return f"it knows {listed}" + (f" and {more} more" if more > 0 else "")


def _check_target(target: Target, sources: Sequence[str]) -> Path | None:
    """Check one place by itself; returns its path where it is one in the file system."""
    if target.key == "report":
        check_file(Path(target.text))
        return Path(target.text)
    parse = parse_delivery if target.key == "outputs" else parse_results
    delivery = parse(target.text)
    if len(target.source_ids) > 1 and not delivery.is_shared:
        raise OutputError(_not_shared(delivery, len(target.source_ids)))
    if delivery.kind == "video":
        check_output(delivery.path, sources)
    elif delivery.kind == "folder":
        _check_folder(delivery.path, delivery.path)
        _check_not_beside(delivery.path, [sources[i] for i in target.source_ids])
    elif delivery.kind == "hls":
        check_hls(delivery.path)
    elif delivery.kind == "results":
        check_file(delivery.path)
    else:
        _check_address(delivery)
        return None
    return delivery.path


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


def check_file(path: Path, *, may_be_folder: bool = False) -> None:
    """Check a place for a file that may be there already and is replaced then.

    Raises:
        OutputError: No file can be written there.
    """
    if path.is_dir():
        if not may_be_folder:
            raise OutputError(f"{path}: a folder; name a file in it.")
        _check_folder(path, path)
    elif path.exists() and not path.is_file():
        raise OutputError(f"{path}: no ordinary file, so it cannot be replaced; name another.")
    else:
        _check_folder(path, path.parent)


def _check_folder(path: Path, folder: Path) -> None:
    """Check that a file can be made in a folder, by making a nameless one."""
    if not folder.is_dir():
        found = "is no folder" if folder.exists() else "does not exist"
        raise OutputError(f"{path}: {folder} {found}; make it first: mkdir -p {folder}")
    try:
        # The mode bits alone do not tell: root passes them, and a read-only disk has them too.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        raise OutputError(
            f"{path}: {folder} cannot be written to ({exc.strerror}); name another folder."
        ) from exc


def _check_apart(
    path: Path, target: Target, seen: dict[Path, Target], sources: Sequence[str]
) -> None:
    """Check that no two outputs are one file and that none is a source."""
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
