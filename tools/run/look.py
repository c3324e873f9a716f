"""Looking at the sources of a request without running it: what they are, and what they need."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskstream.stream.memory.pool import check_memory
from maskstream.stream.sources.live_open import is_live
from maskstream.stream.stages.capture import open_reader
from maskstream.stream.supervision.plan import Plan, make_plan
from maskstream.tools.run.faults import Faults
from maskstream.tools.run.request import Request, make_request
from maskstream.tools.run.request_checks import Checked, check_request


class _NobodyThereError(Exception):
    """All sources are live and none is there, for which a run would wait."""


@dataclass(slots=True)
class Look:
    """What was seen."""

    plan: Plan | None = None
    """None where no source is there to make a plan for."""
    notes: list[str] = field(default_factory=list)


def look_ahead(request: Request, checked: Checked, faults: Faults) -> Look:
    """Return what a run would begin with. Opens each source once and waits seconds at most.

    Args:
        request: What was asked for.
        checked: The same, without faults.
        faults: Takes what keeps the run from beginning.
    """
    options = checked.options
    files = [index for index, uri in enumerate(options.sources) if not is_live(uri)]
    for index in files:
        with faults.collecting(request.where("source", checked.origins[index], "uri")):
            open_reader(options.sources[index], threads=1, opener=None).close()
    look = Look()
    if faults:
        return look
    waited_for: set[str] = set()

    def note(text: str) -> None:
        look.notes.append(text)
        if text.endswith("waiting for it."):
            waited_for.add(text.partition(": ")[0])
        if len(waited_for) == len(options.sources):
            raise _NobodyThereError

    try:
        with faults.collecting():
            look.plan = make_plan(options, on_note=note)
            check_memory(look.plan.pool_bytes(), f"pools of {len(options.sources)} sources")
    except _NobodyThereError:
        look.notes.append("no source is there, so a run would wait for the first of them.")
    return look


def look_at_file(
    file: Path, sources: list[str], given: dict[str, Any]
) -> tuple[Request, Checked, Look]:
    """Return what a file asks for, beside what was typed, and what a run would begin with.

    Raises:
        RequestError: It cannot be run; the text has a line for each mistake.
    """
    request = make_request(sources, given, file)
    faults = Faults()
    checked = check_request(request, faults)
    faults.raise_any()
    look = look_ahead(request, checked, faults)
    faults.raise_any()
    return request, checked, look
