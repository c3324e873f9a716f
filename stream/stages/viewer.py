"""What every viewer does around its own work: wait for frames, and say that it lives."""

from __future__ import annotations

import time
from collections.abc import Iterator

from maskstream.stream.memory.slot import Slot
from maskstream.stream.processes.control import Drain
from maskstream.stream.stages.stage import Stage
from maskstream.stream.stages.views import ViewReceiver


def watch(stage: Stage, timeout_s: float) -> Iterator[dict[int, Slot]]:
    """Yields the newest frames by source id, until every source has ended.

    Args:
        stage: Of the viewer; frames are counted on its page.
        timeout_s: Nothing is yielded for no longer than this: an empty dict says that time is up.

    A slot may be used until the next frame of its source is yielded.
    """
    views = stage.setup.views
    for view in views:
        stage.ports.watch(view)
        view.begin()
    while not all(_is_over(stage, view) for view in views):
        stage.wait(timeout_s)
        newest = {view.source_id: slot for view in views if (slot := view.newest()) is not None}
        stage.page.count_taken(len(newest))
        stage.page.begin(stage.page.taken, time.monotonic_ns())
        yield newest
        stage.page.rest(time.monotonic_ns())


def _is_over(stage: Stage, view: ViewReceiver) -> bool:
    """Whether no frame will come from ``view`` any more; its end is waited for no longer then."""
    if view.is_ended or view.is_parted:
        stage.ports.ignore(view)
    return view.is_ended or (view.is_parted and not stage.ports.is_awaiting)


def ask_for_the_end(stage: Stage) -> None:
    """Ask the supervisor to end the run as a first Ctrl-C would."""
    stage.control.send(Drain())
