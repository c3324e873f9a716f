"""Who is joined to whom: one table of stages, and the channels that follow from it.

::

    capture (one a source) -> infer (one for all) -> overlay (one a source) -> sink (one a source)
       ^                                                                          |
       '------------------------------ free slots --------------------------------'
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from maskstream.stream.memory.channel import Receiver, Sender, open_channel
from maskstream.stream.memory.frame import Holder
from maskstream.stream.stages import capture, infer, overlay, sink
from maskstream.stream.stages.stage import Stage


@dataclass(frozen=True, slots=True)
class StageRow:
    """One kind of stage. The rows' order is the frames' way."""

    kind: str
    holder: Holder
    body: Callable[[Stage, Any], None]
    is_shared: bool = False
    """Whether one process serves all sources."""
    saves_on_parent_death: bool = False
    """Whether it gets a moment to save what it holds when the supervisor is killed."""


TABLE = (
    StageRow("capture", Holder.CAPTURE, capture.run),
    StageRow("infer", Holder.INFER, infer.run, is_shared=True),
    StageRow("overlay", Holder.OVERLAY, overlay.run),
    StageRow("sink", Holder.SINK, sink.run, saves_on_parent_death=True),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one stage stands in the line, whatever process fills it."""

    index: int
    """Of the row in the table."""
    row: StageRow
    label: str
    """The kind, with the source's number where there are several of the kind."""
    source_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """A new channel between two neighbours. Whoever holds an end closes it."""

    giver: Place
    taker: Place
    source_id: int
    sender: Sender
    receiver: Receiver
    generation: int
    """Counts the channels of a run; a slot's header tells through which one it was given."""


@dataclass(slots=True)
class Ends:
    """The ends that a stage's next process starts with, by source id."""

    inputs: dict[int, Receiver] = field(default_factory=dict)
    outputs: dict[int, Sender] = field(default_factory=dict)
    input_generations: dict[int, int] = field(default_factory=dict)
    output_generations: dict[int, int] = field(default_factory=dict)

    def keep_receiver(self, edge: Edge) -> None:
        """Take the receiver of ``edge``, instead of one kept before."""
        _close(self.inputs.pop(edge.source_id, None))
        self.inputs[edge.source_id] = edge.receiver
        self.input_generations[edge.source_id] = edge.generation

    def keep_sender(self, edge: Edge) -> None:
        """Take the sender of ``edge``, instead of one kept before."""
        _close(self.outputs.pop(edge.source_id, None))
        self.outputs[edge.source_id] = edge.sender
        self.output_generations[edge.source_id] = edge.generation

    def close(self) -> None:
        """Close these copies; a process that was spawned with them keeps its own."""
        for end in (*self.inputs.values(), *self.outputs.values()):
            end.close()
        self.inputs.clear()
        self.outputs.clear()


class Line:
    """The places of a run and the channels between them, which lead in a circle."""

    def __init__(self, source_count: int) -> None:
        """Lay out the places in the order of the frames' way; no channel is open yet."""
        self.places = tuple(_places(source_count))
        self._generations = itertools.count(1)

    def next_generation(self) -> int:
        """Returns a number above those of all channels so far."""
        return next(self._generations)

    def before(self, place: Place, source_id: int) -> Place:
        """Returns who gives ``place`` the slots of ``source_id``; the sink, for capture."""
        return self._at(place.index - 1, source_id)

    def after(self, place: Place, source_id: int) -> Place:
        """Returns who takes the slots of ``source_id`` from ``place``; capture, for the sink."""
        return self._at(place.index + 1, source_id)

    def open_into(self, place: Place, source_id: int) -> Edge:
        """Returns a new channel into ``place``."""
        sender, receiver = open_channel()
        giver = self.before(place, source_id)
        return Edge(giver, place, source_id, sender, receiver, self.next_generation())

    def open_out_of(self, place: Place, source_id: int) -> Edge:
        """Returns a new channel out of ``place``."""
        return self.open_into(self.after(place, source_id), source_id)

    def open_all(self) -> dict[str, Ends]:
        """Returns the ends that every place starts with, by label."""
        ends = {place.label: Ends() for place in self.places}
        for place in self.places:
            for source_id in place.source_ids:
                edge = self.open_into(place, source_id)
                ends[edge.taker.label].keep_receiver(edge)
                ends[edge.giver.label].keep_sender(edge)
        return ends

    def _at(self, index: int, source_id: int) -> Place:
        index %= len(TABLE)
        found = (p for p in self.places if p.index == index and source_id in p.source_ids)
        return next(found)


def _places(source_count: int) -> Iterator[Place]:
    for index, row in enumerate(TABLE):
        for source_ids in _groups(row, source_count):
            is_single = row.is_shared or source_count == 1
            label = row.kind if is_single else f"{row.kind}[{source_ids[0]}]"
            yield Place(index, row, label, source_ids)


def _groups(row: StageRow, source_count: int) -> Sequence[tuple[int, ...]]:
    """Returns which sources each process of the row serves."""
    every = tuple(range(source_count))
    return [every] if row.is_shared else [(source_id,) for source_id in every]


def _close(end: Sender | Receiver | None) -> None:
    if end is not None:
        end.close()
