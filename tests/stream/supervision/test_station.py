"""How long a stage that died waits for its next process."""

from contextlib import closing

import pytest

from maskstream.stream.supervision.station import SHORT_LIFE_S, Station
from maskstream.stream.supervision.topology import TABLE

JITTER = 0.2


@pytest.fixture
def station():
    row = next(row for row in TABLE if row.kind == "overlay")
    with closing(Station(row, "overlay[0]", (0,))) as made:
        yield made


def wait_s(station, at_s, life_s):
    """The wait after a life that began at ``at_s`` and gave a frame."""
    station._begun_s = at_s
    station.page.count_given()
    station.note_death(at_s + life_s)
    return station.due_s - at_s - life_s


def test_waits_grow_from_the_second_short_life_in_a_row(station):
    short_s, long_s = SHORT_LIFE_S / 2, SHORT_LIFE_S * 2
    waits_s = [
        wait_s(station, 100.0 * place, life_s)
        for place, life_s in enumerate([long_s, short_s, short_s, short_s, long_s, short_s])
    ]
    assert waits_s == pytest.approx([0.5, 0.5, 1.0, 2.0, 0.5, 0.5], rel=JITTER)
