"""`maskstream bench`: what each part costs, side by side with its limit or with other ways."""

from __future__ import annotations

import difflib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from maskstream.engines import open_engine
from maskstream.engines.files.disk import write_text_atomically
from maskstream.engines.limits import MAX_BATCH
from maskstream.errors import ConfigError
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.arguments.checks import check_file
from maskstream.tools.bench.parts import NEED_CLIPS, PARTS, USUAL, Job
from maskstream.tools.measuring.bench_compare import KEY as ENGINE
from maskstream.tools.measuring.bench_compare import read_document

_USUAL_BATCHES = (1, 2, 4, 8)


def bench(
    clips: Annotated[
        list[Path] | None,
        typer.Argument(help="Video files for the whole line; the demonstration's if left out."),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|NAME",
            help="person if left out. Without --only, measures this engine by itself: its model, "
            "what comes before and after, and the line.",
        ),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(metavar="N[,N]", help="Frames at once, each measured, of an engine."),
    ] = None,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="What an engine is to run in; as for run.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the figures of an engine, or of its crops."),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="OLD.json", help="Say what has become of an engine's figures since."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Measure each stage of `maskstream images` on these."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="PART[,PART]",
            help=f"Measure these parts, of {', '.join(PARTS)}; if left out, {', '.join(USUAL)}.",
        ),
    ] = None,
    frames: Annotated[
        int, typer.Option(min=8, help="Of each clip; they are held in memory.")
    ] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Of what is compared; medians are shown.")] = 3,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Length of an overload, or of an isolation's run.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Kills, returns of a camera, or frames to be seen.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the figures as JSON.")
    ] = None,
) -> None:
    """Measure the line against its limit and its parts beside other ways; live runs by --only."""
    of_engine = {"--batch": batch, "--plot": plot, "--compare": compare}
    if images is None:
        of_engine["--backend"] = backend
    given = [name for name, value in of_engine.items() if value is not None]
    usual = (ENGINE,) if given or engine is not None else USUAL
    usual = usual if images is None else ("images",)
    names = usual if only is None else _parse_parts(only)
    wrong = [name for name in given if (name, names) != ("--plot", ("crops",))]
    if wrong and ENGINE not in names:
        raise ConfigError(f"{wrong[0]}: is for an engine alone; leave --only out.")
    if images is None and "images" in names:
        raise ConfigError("--only images: no pictures are named; add --images FOLDER.")
    for path in (output, plot):
        if path is not None:
            check_file(path)
    batches = _parse_batches(batch)
    before = None if compare is None else read_document(compare)
    engine, backend = engine or "person", backend or "auto"
    with open_engine(engine, backend=backend, batch=1):
        pass  # an engine that is none is to fail now, not after minutes
    console = Console(highlight=False)
    job = Job(
        wanted=tuple(clips or ()),
        images=images,
        engine=engine,
        frames=frames,
        rounds=rounds,
        seconds=seconds,
        count=count,
        console=console,
        backend=backend,
        batches=batches,
        plot=plot,
        before=before,
    )
    if NEED_CLIPS & set(names):
        job.clips  # noqa: B018 - as the engine
    console.print(_machine_line())
    document: dict[str, Any] = {"machine": _machine_line()}
    for name in names:
        document[name] = PARTS[name](job)
        if output is not None:
            write_text_atomically(output, json.dumps(document, indent=2) + "\n")


def _parse_parts(text: str) -> tuple[str, ...]:
    """Return the parts that ``text`` names.

    Raises:
        ConfigError: There is no such part.
    """
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for name in names:
        if name not in PARTS:
            near = difflib.get_close_matches(name, PARTS, n=1)
            wanted = f"did you mean {near[0]!r}?" if near else f"use some of {', '.join(PARTS)}."
            raise ConfigError(f"--only: no part is called {name!r}; {wanted}")
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
