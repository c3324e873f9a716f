"""One stage's process as the supervisor sees it: started, heard, ended."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable

from maskstream.stream.errors import PeerGone
from maskstream.stream.processes.control import (
    ControlEnd,
    ControlMessage,
    Done,
    Failed,
    LastWord,
    Ready,
    ToStage,
    open_control,
)
from maskstream.stream.processes.process import apart_from_caller
from maskstream.stream.stages.stage import StageSetup, run_stage
from maskstream.stream.supervision.topology import StageRow

_USERS_EXIT_CODES = (2, 3)


class Worker:
    """A stage's process."""

    def __init__(self, row: StageRow, make_setup: Callable[[ControlEnd], StageSetup]) -> None:
        """Start the process.

        Args:
            row: Which kind of stage.
            make_setup: Returns what the process is started with, given its end of the control.
        """
        self.control, theirs = open_control()
        setup = make_setup(theirs)
        self.row = row
        self.label = setup.label
        self.source_ids = setup.source_ids
        self.page = setup.page
        self.is_ready = False
        self.last_word: LastWord | None = None
        self.is_alive = True
        self._start(setup, theirs)

    def _start(self, setup: StageSetup, theirs: ControlEnd) -> None:
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(
            target=run_stage, args=(setup,), name=setup.label, daemon=True
        )
        with apart_from_caller():
            self._process.start()
        theirs.close()
        self.pid = self._process.pid or 0

    @property
    def sentinel(self) -> int:
        """Descriptor that becomes readable when the process ends."""
        return self._process.sentinel

    @property
    def exit_code(self) -> int | None:
        """Of the process, negative for a signal; None while it runs."""
        return self._process.exitcode

    @property
    def is_finished(self) -> bool:
        """Whether the stage's work is over: it said its last word, or its process is gone."""
        return self.last_word is not None or not self.is_alive

    @property
    def is_done(self) -> bool:
        """Whether the stage came to its end as it should."""
        return isinstance(self.last_word, Done)

    @property
    def has_left(self) -> bool:
        """Whether the stage is not started anew: it is done, or its source cannot be read."""
        word = self.last_word
        return isinstance(word, Done) or (
            isinstance(word, Failed) and word.exit_code in _USERS_EXIT_CODES
        )

    def hear(self) -> list[ControlMessage]:
        """Returns what the stage said since the last call."""
        heard: list[ControlMessage] = []
        try:
            while (message := self.control.receive()) is not None:
                heard.append(message)
                self.is_ready |= isinstance(message, Ready)
                if isinstance(message, LastWord):
                    self.last_word = message
        except PeerGone:
            # The sentinel tells the same with the exit code.
            return heard
        return heard

    def reap(self) -> None:
        """Take note of the process's end."""
        self._process.join()
        self.is_alive = False

    def kill(self) -> None:
        """End the process at once."""
        if self.is_alive:
            self._process.kill()

    def tell(self, message: ToStage) -> None:
        """Send ``message`` to the stage."""
        self.control.send(message)

    def describe_end(self) -> str:
        """Returns how the process ended, in words."""
        code = self.exit_code
        if code is None:
            return "still runs"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def close(self) -> None:
        """Release what belongs to the process; it has ended."""
        self.control.close()
        self._process.close()
