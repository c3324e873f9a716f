"""Who is joined to whom: one table of stages, and the channels that follow from it.

::

    capture (one a source) -> infer (one for all) -> overlay (one a source) -> sink (one a source)
       ^                                                                          |
       '------------------------------ free slots --------------------------------'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stream import capture, infer, overlay, sink
from stream.channel import Receiver, Sender, open_channel
from stream.frame import Holder
from stream.stages import Stage


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
class Station:
    """One stage process to be, with its ends of the channels."""

    row: StageRow
    label: str
    """The kind, with the source's number where there are several of the kind."""
    source_ids: tuple[int, ...]
    inputs: tuple[Receiver, ...]
    outputs: tuple[Sender, ...]
    credit_in: Receiver | None = None
    credit_out: Sender | None = None

    def close(self) -> None:
        """Close these copies of the ends; a process that was spawned with them keeps its own."""
        for end in (*self.inputs, *self.outputs, self.credit_in, self.credit_out):
            if end is not None:
                end.close()


@dataclass(slots=True)
class _Edges:
    """The ends of one channel a source, between two neighbours."""

    senders: list[Sender] = field(default_factory=list)
    receivers: list[Receiver] = field(default_factory=list)


def join(source_count: int) -> list[Station]:
    """Returns the stages for ``source_count`` sources, joined, in the order of the frames' way."""
    # edges[i] lead into row i; those into row 0 carry free slots back from the last row.
    edges = [_open_edges(source_count) for _ in TABLE]
    stations = []
    for place, row in enumerate(TABLE):
        for source_ids in _groups(row, source_count):
            stations.append(_station(place, row, source_ids, edges, source_count))
    return stations


def _station(
    place: int,
    row: StageRow,
    source_ids: tuple[int, ...],
    edges: list[_Edges],
    source_count: int,
) -> Station:
    is_first, is_last = place == 0, place == len(TABLE) - 1
    receivers = tuple(edges[place].receivers[source_id] for source_id in source_ids)
    senders = tuple(edges[(place + 1) % len(TABLE)].senders[i] for i in source_ids)
    is_single = row.is_shared or source_count == 1
    return Station(
        row=row,
        label=row.kind if is_single else f"{row.kind}[{source_ids[0]}]",
        source_ids=source_ids,
        inputs=() if is_first else receivers,
        outputs=() if is_last else senders,
        credit_in=receivers[0] if is_first else None,
        credit_out=senders[0] if is_last else None,
    )


def _open_edges(source_count: int) -> _Edges:
    edges = _Edges()
    for _ in range(source_count):
        sender, receiver = open_channel()
        edges.senders.append(sender)
        edges.receivers.append(receiver)
    return edges


def _groups(row: StageRow, source_count: int) -> list[tuple[int, ...]]:
    """Returns which sources each process of the row serves."""
    every = tuple(range(source_count))
    return [every] if row.is_shared else [(source_id,) for source_id in every]
