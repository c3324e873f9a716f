"""How capture comes by its slots."""

from typing import Any

from maskstream.stream.memory.channel import Kind, Message
from maskstream.stream.stages.credits import FreeSlots


class Setup:
    free_slots = (0, 1, 2)
    pools = (None,)


class Waiting:
    """A stage with three slots to begin with, that is told to go with the second wait."""

    setup = Setup()
    is_draining = False

    def __init__(self):
        self.ready = [Message(Kind.FRAME, slot) for slot in self.setup.free_slots]
        self.wait_count = 0

    @property
    def is_going(self):
        return self.wait_count == 2

    def receive(self, lane):
        return self.ready.pop(0) if self.ready else None

    def wait(self, timeout_s):
        assert not self.ready, "a wait with something ready returns at once: this loop would spin"
        self.wait_count += 1


def test_nothing_lies_ready_while_capture_waits_for_the_engine():
    stage: Any = Waiting()
    assert FreeSlots(stage).wait_for_go()
    assert stage.wait_count == 2
