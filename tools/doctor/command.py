"""`maskstream doctor`: what this machine can do, and why not."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskstream.tools.doctor.findings import Finding

if TYPE_CHECKING:
    from rich.text import Text

EXIT_ERRORS = 1
_COLORS = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a list of objects, for programs.")
    ] = False,
) -> None:
    """Look at codecs, encoders, GPU, OpenVINO, engines, memory, disk, display and cameras.

    Ends with exit code 1 where something would make runs fail, else with 0.
    """
    # Loaded when it runs, so that the help is shown at once.
    from rich.console import Console

    findings = []
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for finding in look(Path.cwd()):
        findings.append(finding)
        if not as_json:
            console.print(_line(finding))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        console.print(_sum_up(findings))
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(EXIT_ERRORS)


def look(folder: Path) -> Iterator[Finding]:
    """Give what is found, as it is found.

    Args:
        folder: Where runs would write to.
    """
    from maskstream.tools.doctor import cameras as doctor_cameras
    from maskstream.tools.doctor import engines as doctor_engines
    from maskstream.tools.doctor import machine as doctor_machine
    from maskstream.tools.doctor import media as doctor_media

    yield doctor_machine.check_system()
    yield doctor_engines.check_packages()
    yield doctor_machine.check_cores()
    yield doctor_machine.check_memory()
    yield doctor_machine.check_shared_memory()
    yield doctor_machine.check_disk(folder)
    yield doctor_machine.check_descriptors()
    yield doctor_media.check_decoders()
    yield from doctor_media.check_codecs()
    yield doctor_media.check_gpu()
    yield from doctor_engines.check_openvino()
    yield from doctor_engines.check_backends()
    yield from doctor_engines.check_engines()
    yield doctor_machine.check_display()
    yield from doctor_cameras.check_cameras()


def _line(finding: Finding) -> "Text":
    """Return a finding as a line, and what to do as a second one."""
    from rich.text import Text

    text = Text(f"{finding.level:<8} ", style=_COLORS[finding.level])
    text.append(f"{finding.subject:<14} {finding.found}", style="default")
    if finding.todo:
        text.append(f"\n{'':<24}{finding.todo}", style="dim")
    return text


def _sum_up(findings: list[Finding]) -> str:
    counts = Counter(finding.level for finding in findings)
    return f"{counts['ok']} ok, {counts['warning']} warnings, {counts['error']} errors"
