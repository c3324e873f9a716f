"""Who is joined to whom."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise

import pytest

from stream.channel import Kind, Message
from stream.topology import TABLE, join


@pytest.fixture
def joined(nothing_left):
    with ExitStack() as closing:

        def make(source_count):
            stations = join(source_count)
            for station in stations:
                closing.callback(station.close)
            return stations

        yield make


def test_one_source_has_one_stage_of_each_kind(joined):
    assert [station.label for station in joined(1)] == ["capture", "infer", "overlay", "sink"]


def test_several_sources_share_the_engine_alone(joined):
    assert [station.label for station in joined(2)] == [
        "capture[0]", "capture[1]", "infer", "overlay[0]", "overlay[1]", "sink[0]", "sink[1]",
    ]  # fmt: skip


@pytest.mark.parametrize("source_count", [1, 3])
def test_a_message_of_each_source_goes_down_the_line_and_back(joined, source_count):
    stations = joined(source_count)
    for source_id in range(source_count):
        way = [station for station in stations if source_id in station.source_ids]
        assert len(way) == len(TABLE)
        message = Message(Kind.FRAME, slot=source_id, sequence=source_id)
        for giver, taker in pairwise(way):
            giver.outputs[giver.source_ids.index(source_id)].send(message)
            assert taker.inputs[taker.source_ids.index(source_id)].receive(0) == message
        way[-1].credit_out.send(message)
        assert way[0].credit_in.receive(0) == message


def test_ends_are_closed_with_their_station(joined):
    stations = joined(1)
    for station in stations:
        station.close()
    assert stations[0].outputs[0].fileno() == -1
    assert stations[0].credit_in.fileno() == -1
