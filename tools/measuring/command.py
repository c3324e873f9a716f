"""`maskstream bench`: what an engine and the pipeline cost here; each part beside its limit."""

from __future__ import annotations

import difflib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from maskstream.engines import open_engine
from maskstream.engines.files.disk import write_text_atomically
from maskstream.engines.limits import MAX_BATCH
from maskstream.errors import ConfigError
from maskstream.stream.arguments import AUTO, Option, RunArguments
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.arguments.checks import check_file
from maskstream.tools.arguments.model_options import check_ranges, with_options_of
from maskstream.tools.measuring.bench_compare import KEY as ENGINE
from maskstream.tools.measuring.bench_compare import read_document
from maskstream.tools.measuring.parts import (
    NEED_CLIPS,
    PARTS,
    USUAL,
    Job,
    Part,
    developers_parts,
)

_USUAL_BATCHES = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class BenchArguments:
    """What a measurement can be asked."""

    engine: Annotated[
        str | None,
        Option(
            metavar="PATH|NAME",
            help="The engine, person if left out. Without --only, measures this engine by itself: "
            "its model, the work before and after, and the whole pipeline.",
        ),
    ] = None
    batch: Annotated[
        str | None,
        Option(metavar="N[,N]", help="Batch sizes of an engine, each measured; default 1,2,4,8."),
    ] = None
    backend: Annotated[
        str | None, Option(metavar="NAME", help="The runtime of an engine, as for run.")
    ] = None
    plot: Annotated[
        Path | None,
        Option(metavar="FILE.png", help="Draw the figures of an engine, or of its crops."),
    ] = None
    compare: Annotated[
        Path | None,
        Option(metavar="OLD.json", help="Compare with an engine's figures that -o wrote earlier."),
    ] = None
    images: Annotated[
        Path | None,
        Option(
            metavar="FOLDER", help="Measure each stage of `maskstream images` on these pictures."
        ),
    ] = None
    only: Annotated[
        str | None,
        Option(
            metavar="PART[,PART]",
            help="Measure these parts: engine, line (the whole pipeline), images. A checkout of "
            "the repository has more, which a wrong name lists.",
        ),
    ] = None
    frames: Annotated[
        int, Option(least=8, help="Frames of each clip; they are held in memory.")
    ] = 300
    rounds: Annotated[
        int, Option(least=1, help="Rounds of each comparison; medians are shown.")
    ] = 3
    seconds: Annotated[
        float | None, Option(least=1, help="Length of a live run, of the parts that have one.")
    ] = None
    count: Annotated[
        int | None, Option(least=1, help="Repetitions, of the parts that repeat something.")
    ] = None
    output: Annotated[
        Path | None, Option(names=("--output", "-o"), help="Write the figures as JSON.")
    ] = None


ClipsArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Video files; in a checkout the demonstration's clip if left out."),
]


@with_options_of(BenchArguments)
def bench(clips: ClipsArgument = None, **options: Any) -> None:
    """Measure an engine and the whole pipeline on this machine."""
    arguments = BenchArguments(**options)
    check_ranges(BenchArguments, options)
    parts = _Parts()
    names = _names(arguments, parts)
    for path in (arguments.output, arguments.plot):
        if path is not None:
            check_file(path)
    console = Console(highlight=False)
    job = _job(clips or [], arguments, console)
    with open_engine(job.engine, backend=job.backend, batch=1):
        pass  # fail now, not after minutes, if it is no engine
    if parts.need_clips & set(names):
        job.clips  # noqa: B018 - likewise
    console.print(_machine_line())
    document: dict[str, Any] = {"machine": _machine_line()}
    for name in names:
        document[name] = parts.by_name[name](job)
        if arguments.output is not None:
            write_text_atomically(arguments.output, json.dumps(document, indent=2) + "\n")


class _Parts:
    """The parts of this installation: everyone's, then the developers' where they are."""

    def __init__(self) -> None:
        more, usual, need_clips = developers_parts()
        self.by_name: Mapping[str, Part] = {**PARTS, **more}
        self.usual = (*USUAL, *usual)
        self.need_clips = NEED_CLIPS | need_clips
        self.is_complete = bool(more)


def _job(clips: list[Path], arguments: BenchArguments, console: Console) -> Job:
    return Job(
        wanted=tuple(clips),
        images=arguments.images,
        engine=arguments.engine or RunArguments.engine,
        frames=arguments.frames,
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        count=arguments.count,
        console=console,
        backend=arguments.backend or AUTO,
        batches=_parse_batches(arguments.batch),
        plot=arguments.plot,
        before=None if arguments.compare is None else read_document(arguments.compare),
    )


def _names(arguments: BenchArguments, parts: _Parts) -> tuple[str, ...]:
    """Return the parts to be measured.

    Raises:
        ConfigError: There is no such part, or an option has no use with it.
    """
    of_engine = {name: getattr(arguments, name) for name in ("batch", "plot", "compare")}
    if arguments.images is None:
        of_engine["backend"] = arguments.backend
    given = [f"--{name}" for name, value in of_engine.items() if value is not None]
    usual = (ENGINE,) if given or arguments.engine is not None else parts.usual
    usual = usual if arguments.images is None else ("images",)
    names = usual if arguments.only is None else _parse_parts(arguments.only, parts)
    wrong = [name for name in given if (name, names) != ("--plot", ("crops",))]
    if wrong and ENGINE not in names:
        raise ConfigError(f"{wrong[0]}: is for an engine alone; leave --only out.")
    if arguments.images is None and "images" in names:
        raise ConfigError("--only images: no pictures are named; add --images FOLDER.")
    return names


def _parse_parts(text: str, parts: _Parts) -> tuple[str, ...]:
    """Return the parts that ``text`` names.

    Raises:
        ConfigError: There is no such part.
    """
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    known = parts.by_name
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            wanted = f"did you mean {near[0]!r}?" if near else f"use some of {', '.join(known)}."
            more = "" if parts.is_complete else " (a checkout of the repository has more)"
            raise ConfigError(f"--only: no part is called {name!r}{more}; {wanted}")
    return names


def _parse_batches(text: str | None) -> tuple[int, ...]:
    """Return the sizes of batches that ``text`` lists; some usual ones if it is None.

    Raises:
        ConfigError: One is no possible size.
    """
    if text is None:
        return _USUAL_BATCHES
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 1 <= int(word) <= MAX_BATCH for word in words):
        raise ConfigError(
            f"--batch: {text!r} was given; whole numbers from 1 to {MAX_BATCH} are needed, "
            "such as 1,2,4,8."
        )
    return tuple(sorted({int(word) for word in words}))


def _machine_line() -> str:
    return (
        f"{_processor()}, {available_cores()} cores, "
        f"{_memory_bytes() / 2**30:.0f} GiB; "
        + ", ".join(f"{name} {version(name)}" for name in ("openvino", "av", "opencv-python"))
    )


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
