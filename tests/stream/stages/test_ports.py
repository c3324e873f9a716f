"""The ends of a stage's channels: what joins without belonging to a lane."""

from types import SimpleNamespace
from typing import Any

import pytest

from maskstream.stream.processes.control import Join, open_control
from maskstream.stream.stages.ports import Ports


class Way:
    """A way to a viewer that notes what it is told."""

    def __init__(self):
        self.joined = []

    def join(self, *descriptors):
        self.joined.append(descriptors)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_any_viewer_of_a_source_may_be_restarted(number):
    """Viewers are counted by themselves: the third of a source is on none of its lanes."""
    ours, theirs = open_control()
    ways = [Way() for _ in range(3)]
    setup: Any = SimpleNamespace(
        inputs=(), outputs=(None,), generations=(), is_awaiting=True, control=theirs,
        free_slots=(), shown=ways, views=(),
    )  # fmt: skip
    assert Ports(setup).join(Join("shown", number, 0, (7, 8))) == ()
    assert [way.joined for way in ways] == [[(7, 8)] if n == number else [] for n in range(3)]
    ours.close()
    theirs.close()
