"""Who is joined to whom."""

from __future__ import annotations

from itertools import pairwise

import pytest

from maskstream.stream.memory.channel import Kind, Message
from maskstream.stream.supervision.topology import TABLE, Line


@pytest.fixture
def opened(nothing_left):
    made = []

    def open_line(source_count):
        line = Line(source_count)
        made.append(line.open_all())
        return line, made[-1]

    yield open_line
    for ends in made:
        for of_place in ends.values():
            of_place.close()


def test_one_source_has_one_stage_of_each_kind():
    assert [place.label for place in Line(1).places] == ["capture", "infer", "overlay", "sink"]


def test_several_sources_share_the_engine_alone():
    assert [place.label for place in Line(2).places] == [
        "capture[0]", "capture[1]", "infer", "overlay[0]", "overlay[1]", "sink[0]", "sink[1]",
    ]  # fmt: skip


@pytest.mark.parametrize("source_count", [1, 3])
def test_a_message_of_each_source_goes_down_the_line_and_back(opened, source_count):
    line, ends = opened(source_count)
    for source_id in range(source_count):
        way = [place for place in line.places if source_id in place.source_ids]
        assert len(way) == len(TABLE)
        for giver, taker in pairwise([*way, way[0]]):
            assert line.after(giver, source_id) == taker
            assert line.before(taker, source_id) == giver
            message = Message(Kind.FRAME, slot=source_id, sequence=giver.index)
            ends[giver.label].outputs[source_id].send(message)
            assert ends[taker.label].inputs[source_id].receive(0) == message


def test_every_channel_has_a_generation_of_its_own(opened):
    line, ends = opened(2)
    generations = [g for of_place in ends.values() for g in of_place.output_generations.values()]
    assert len(set(generations)) == len(generations) == 8
    assert line.next_generation() > max(generations)


def test_a_new_channel_takes_the_place_of_the_one_before(opened):
    line, ends = opened(1)
    infer = line.places[1]
    former = ends["infer"].inputs[0]
    edge = line.open_into(infer, 0)
    ends["infer"].keep_receiver(edge)
    ends[edge.giver.label].keep_sender(edge)
    assert edge.giver.label == "capture"
    assert former.fileno() == -1
    assert ends["capture"].output_generations[0] == edge.generation
    ends["capture"].outputs[0].send(Message(Kind.FRAME, slot=3))
    assert ends["infer"].inputs[0].receive(0).slot == 3


def test_ends_are_closed_together(opened):
    _, ends = opened(1)
    kept = [ends["infer"].inputs[0], ends["infer"].outputs[0]]
    ends["infer"].close()
    assert [end.fileno() for end in kept] == [-1, -1]
