"""Starting a stage anew in a line that runs: new channels, and no slot lost.

A process that dies takes its channels with it. Its neighbours get the ends of new ones and answer
which slots they hold. A slot that is marked as given through an old channel and that nobody holds
was with the dead process, or on the way from it: its frame is lost, the slot is free again. Each
channel has a generation, a slot bears that of the last one, and so both sides of "before" and
"after" can be told whatever instant the process was killed at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from maskstream.stream.errors import ChannelTimeout, PeerGone
from maskstream.stream.memory.channel import Kind, Message, Receiver, Sender
from maskstream.stream.memory.frame import Holder
from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import Slot
from maskstream.stream.processes.control import Free, Join, Joined, Port
from maskstream.stream.stages.views import View
from maskstream.stream.supervision.station import Station
from maskstream.stream.supervision.topology import Edge, Line


@dataclass(slots=True)
class _Awaited:
    """A neighbour that was sent a channel's end and has not answered."""

    neighbour: Station
    edge: Edge
    end: Sender | Receiver
    """A copy of its end."""


class Repairs:
    """The stations that are without a process, on their way to the next one."""

    def __init__(
        self,
        line: Line,
        stations: Sequence[Station],
        pools: Sequence[BufferPool],
        view_pools: dict[tuple[str, int], BufferPool],
    ) -> None:
        """Repair ``line``.

        Args:
            line: Its places are the stations'.
            stations: All of the run, viewers too.
            pools: By source id.
            view_pools: By viewer's label and source id.
        """
        self._line = line
        self._stations = {station.label: station for station in stations}
        self._pools = pools
        self._view_pools = view_pools
        self._awaited: dict[str, dict[int, _Awaited]] = {}
        self._held: dict[tuple[str, int], set[int]] = {}
        self._kept: list[Receiver] = []

    @property
    def is_any_pending(self) -> bool:
        """Whether a station waits for its next process."""
        return bool(self._awaited)

    def begin(self, station: Station) -> None:
        """Give the neighbours of ``station``, whose process has ended, new channels to it."""
        station.part()
        self.forget(station)
        awaited: dict[int, _Awaited] = {}
        self._awaited[station.label] = awaited
        if station.is_viewer:
            for source_id in station.source_ids:
                self._show(self.sink_of(source_id), station, source_id)
            return
        assert station.place is not None
        for source_id in station.source_ids:
            edge_in = self._line.open_into(station.place, source_id)
            station.ends.keep_receiver(edge_in)
            self._hand_over(awaited, edge_in, is_giver=True)
            edge_out = self._line.open_out_of(station.place, source_id)
            station.ends.keep_sender(edge_out)
            self._hand_over(awaited, edge_out, is_giver=False)
        if station.row.holder == Holder.SINK:
            for source_id in station.source_ids:
                for viewer in self.viewers_of(source_id):
                    self._show(station, viewer, source_id)

    def note_joined(self, message: Joined) -> None:
        """Take note of an answer to a new channel."""
        generation = message.generation
        for label, awaited in self._awaited.items():
            answered = awaited.pop(generation, None)
            if answered is not None:
                answered.end.close()
                if message.port == "input":
                    key = (label, answered.edge.source_id)
                    self._held[key] = set(message.held)
                return

    def forget(self, station: Station) -> None:
        """Wait for no answer of ``station``: its process has ended, or has said its last word."""
        for label, awaited in self._awaited.items():
            for generation, of in list(awaited.items()):
                if of.neighbour is station:
                    del awaited[generation]
                    self._held.setdefault((label, of.edge.source_id), set())
                    self._end_for(of)

    def start_due(self, now_s: float, start: Callable[[Station], None]) -> None:
        """Start what may be started: nobody's answer is outstanding, and its time has come."""
        for label, awaited in list(self._awaited.items()):
            station = self._stations[label]
            if awaited or now_s < station.due_s:
                continue
            del self._awaited[label]
            if not station.is_viewer:
                self._free_slots(station)
            start(station)

    def due_s(self) -> float | None:
        """Returns when the next station's time comes; None while there is none to be started."""
        dues = [self._stations[label].due_s for label, open_ in self._awaited.items() if not open_]
        return min(dues, default=None)

    def cancel(self) -> None:
        """Start nothing any more: whoever waits for a station sees that it is gone."""
        for label, awaited in self._awaited.items():
            for of in awaited.values():
                of.end.close()
            self._stations[label].close_ends()
        self._awaited.clear()

    def _hand_over(self, awaited: dict[int, _Awaited], edge: Edge, *, is_giver: bool) -> None:
        """Give the neighbour at the other end of ``edge`` its end."""
        neighbour = self._stations[(edge.giver if is_giver else edge.taker).label]
        of = _Awaited(neighbour, edge, edge.sender if is_giver else edge.receiver)
        if neighbour.is_pending:
            keep = neighbour.ends.keep_sender if is_giver else neighbour.ends.keep_receiver
            keep(edge)
        elif neighbour.worker is None or neighbour.worker.is_finished:
            self._end_for(of)
        else:
            port: Port = "output" if is_giver else "input"
            lane = neighbour.source_ids.index(edge.source_id)
            neighbour.worker.tell(Join(port, lane, edge.generation, (of.end.fileno(),)))
            awaited[edge.generation] = of

    def _end_for(self, of: _Awaited) -> None:
        """Do with the end of a neighbour that is done what it would have done, or close it.

        A giver gives an END. A taker takes what comes: a stage that found nobody there would keep
        its END for a neighbour that never returns.
        """
        worker = of.neighbour.worker
        has_left = worker is not None and worker.has_left
        if isinstance(of.end, Sender) and has_left and of.neighbour.row.holder != Holder.SINK:
            captured = self._capture(of.edge.source_id).page.captured
            end = Message(Kind.END, sequence=captured, source_id=of.edge.source_id)
            with suppress(PeerGone, ChannelTimeout):
                of.end.send(end, 0)
        if isinstance(of.end, Receiver) and has_left:
            self._kept.append(of.end)
        else:
            of.end.close()

    def _show(self, sink: Station, viewer: Station, source_id: int) -> None:
        """Open a new way for frames from ``sink`` to ``viewer``."""
        view = View(source_id, self._view_pools[viewer.label, source_id])
        with ExitStack() as copies:
            if sink.is_pending:
                sink.shown[viewer.label] = view.sender
            else:
                copies.callback(view.sender.close)
                if sink.worker is not None and sink.worker.is_finished:
                    view.sender.end()
                place = self.viewers_of(source_id).index(viewer)
                self._tell_view(sink, "shown", place, view.sender.descriptors)
            if viewer.is_pending:
                viewer.views[source_id] = view.receiver
            else:
                copies.callback(view.receiver.close)
                place = viewer.source_ids.index(source_id)
                self._tell_view(viewer, "view", place, view.receiver.descriptors)

    @staticmethod
    def _tell_view(station: Station, port: Port, lane: int, descriptors: tuple[int, int]) -> None:
        if station.worker is not None:
            station.worker.tell(Join(port, lane, 0, descriptors))

    def _free_slots(self, station: Station) -> None:
        """Free the slots that the dead process of ``station`` had, or had given to nobody."""
        for source_id in station.source_ids:
            lost = [s for s in self._slots(source_id) if self._is_lost(s, station, source_id)]
            station.subject.lost += sum(self._is_captured(slot, source_id) for slot in lost)
            self._return(source_id, lost)
            self._held.pop((station.label, source_id), None)
        if station.is_capture:
            # Taken, and its fate not settled when the process was killed.
            for _ in range(station.page.taken - station.page.captured):
                station.page.count_dropped("worker_restart")

    def _is_lost(self, slot: Slot, station: Station, source_id: int) -> bool:
        assert station.place is not None
        taker = self._line.after(station.place, source_id).row.holder
        holder, generation = slot.header.holder, slot.header.generation
        if holder == station.row.holder:
            return generation < station.ends.input_generations[source_id]
        held = self._held.get((station.label, source_id))
        is_to_taker = holder == (Holder.FREE if taker == Holder.CAPTURE else taker)
        is_before = generation < station.ends.output_generations[source_id]
        return is_to_taker and is_before and held is not None and slot.index not in held

    def _is_captured(self, slot: Slot, source_id: int) -> bool:
        """Whether the frame in ``slot`` counts as captured and not as delivered."""
        if slot.header.holder == Holder.FREE:
            return False
        is_put = slot.header.put_ordinal <= self._capture(source_id).page.given
        delivered = self.sink_of(source_id).page.given
        return is_put and not 0 < slot.header.delivery_ordinal <= delivered

    def _return(self, source_id: int, slots: Sequence[Slot]) -> None:
        """Make ``slots`` free; capture is told, or finds them when it is started."""
        capture = self._capture(source_id).worker
        is_told = capture is not None and not capture.is_finished
        # A mark above all channels: no other repair takes it for one that got lost before.
        generation = self._line.next_generation() if is_told else 0
        for slot in slots:
            slot.header.hold(Holder.FREE, generation)
        if capture is not None and is_told and slots:
            capture.tell(Free(tuple(slot.index for slot in slots)))

    def close(self) -> None:
        """Close what was kept for neighbours that are done."""
        for end in self._kept:
            end.close()

    def free_at_start(self, station: Station) -> tuple[int, ...]:
        """Returns the slots that a capture begins with: those that no channel brings it."""
        (source_id,) = station.source_ids
        newest = station.ends.input_generations[source_id]
        return tuple(
            slot.index
            for slot in self._slots(source_id)
            if slot.header.holder == Holder.FREE and slot.header.generation < newest
        )

    def viewers_of(self, source_id: int) -> list[Station]:
        """Returns the viewers of a source; the sink's ways to them are in this order."""
        stations = self._stations.values()
        return [s for s in stations if s.is_viewer and source_id in s.source_ids]

    def _capture(self, source_id: int) -> Station:
        return self._of(Holder.CAPTURE, source_id)

    def sink_of(self, source_id: int) -> Station:
        """Returns the sink of a source."""
        return self._of(Holder.SINK, source_id)

    def _of(self, holder: Holder, source_id: int) -> Station:
        stations = self._stations.values()
        return next(s for s in stations if s.row.holder == holder and source_id in s.source_ids)

    def _slots(self, source_id: int) -> list[Slot]:
        pool = self._pools[source_id]
        return [pool.slot(index) for index in range(pool.slot_count)]
