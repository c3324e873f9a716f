"""Memory and processes of a run: taken in order, given back whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from maskstream.stream.memory.frame import Holder
from maskstream.stream.memory.pool import BufferPool, check_memory
from maskstream.stream.processes.control import ControlEnd
from maskstream.stream.stages.stage import StageSetup
from maskstream.stream.stages.views import SLOT_COUNT, View, ViewSender
from maskstream.stream.supervision.caller import CallerSource, CallerView
from maskstream.stream.supervision.plan import Plan
from maskstream.stream.supervision.repair import Repairs
from maskstream.stream.supervision.station import Station
from maskstream.stream.supervision.topology import Line
from maskstream.stream.supervision.viewer_hosts import Host
from maskstream.stream.supervision.worker import Worker
from maskstream.stream.telemetry.snapshot import Event

if TYPE_CHECKING:
    from maskstream.stream.telemetry.results_publisher import ResultsHub


class Launch:
    """A run's stations and what they share. ``resources`` gives all of it back."""

    def __init__(
        self,
        plan: Plan,
        hosts: list[Host],
        resources: ExitStack,
        on_event: Callable[[Event], None],
        caller: CallerView | None = None,
    ) -> None:
        """Allocate the memory and start a process for every stage; ``caller`` gets frames too.

        Raises:
            ConfigError: There is not enough memory.
        """
        self._plan = plan
        self._caller = caller
        self._caller_pools: dict[int, BufferPool] = {}
        if caller is not None:
            for source_id in range(len(plan.infos)):
                self._caller_pools[source_id] = _view_pool(plan, source_id, resources)
        self._settings: dict[str, Callable[[], Any]] = {}
        self.pools = _allocate(plan, resources, on_event)
        self._hubs = _open_hubs(plan, resources)
        line = Line(len(plan.infos))
        self.stations = [Station.at(place) for place in line.places]
        self.view_pools: dict[tuple[str, int], BufferPool] = {}
        for host in hosts:
            self.stations.append(Station(host.row, host.label, host.source_ids))
            self._settings[host.label] = host.settings
            for source_id in host.source_ids:
                self.view_pools[host.label, source_id] = _view_pool(plan, source_id, resources)
        for station in self.stations:
            resources.callback(station.close)
        self.repairs = Repairs(line, self.stations, self.pools, self.view_pools)
        resources.callback(self.repairs.close)
        self._join(line)
        # The engine takes longest to load, so its process is started first.
        for station in sorted(self.stations, key=lambda station: not station.row.is_shared):
            self.start(station)

    def start(self, station: Station) -> None:
        """Start the next process of ``station``."""
        with ExitStack() as copies:
            station.begin(
                lambda: Worker(station.row, lambda control: self._setup(station, control, copies))
            )

    def _join(self, line: Line) -> None:
        """Open every channel, and every way to a viewer."""
        every = line.open_all()
        for station in self.stations:
            if station.place is not None:
                station.ends = every[station.label]
        for (label, source_id), pool in self.view_pools.items():
            view = View(source_id, pool)
            viewer = next(s for s in self.stations if s.label == label)
            self.repairs.sink_of(source_id).shown[label] = view.sender
            viewer.views[source_id] = view.receiver

    def _setup(self, station: Station, control: ControlEnd, copies: ExitStack) -> StageSetup:
        """Return what a process is started with; ``copies`` closes ends that it alone keeps."""
        ends, ids = station.ends, station.source_ids
        make = self._settings.get(station.label)
        settings = self._plan.settings(station.row.kind, ids) if make is None else make()
        if station.row.holder == Holder.SINK:
            doors = tuple(self._hubs[endpoint].address for endpoint in settings.endpoints)
            settings = replace(settings, endpoints=doors)
        is_viewer = station.is_viewer
        viewers = self.repairs.viewers_of(ids[0]) if station.shown else []
        return StageSetup(
            label=station.label,
            holder=station.row.holder,
            body=station.row.body,
            settings=settings,
            source_ids=ids,
            page=station.page,
            control=control,
            pools=() if is_viewer else tuple(self.pools[source_id] for source_id in ids),
            inputs=() if is_viewer else tuple(ends.inputs[source_id] for source_id in ids),
            outputs=() if is_viewer else tuple(ends.outputs[source_id] for source_id in ids),
            generations=()
            if is_viewer
            else tuple(ends.output_generations[source_id] for source_id in ids),
            free_slots=self.repairs.free_at_start(station) if station.is_capture else (),
            shown=(
                *(station.shown[viewer.label] for viewer in viewers),
                *self._to_caller(station, copies),
            ),
            views=tuple(station.views[source_id] for source_id in ids) if is_viewer else (),
            is_awaiting=self._plan.restarts or is_viewer,
            start_count=station.start_count,
            saves_on_parent_death=station.row.saves_on_parent_death,
        )

    def _to_caller(self, station: Station, copies: ExitStack) -> Iterator[ViewSender]:
        """Yield the way from a sink to the caller, where frames go there."""
        if self._caller is None or station.row.holder != Holder.SINK:
            return
        (source_id,) = station.source_ids
        is_lossless = self._plan.policy(source_id) == "block"
        described = CallerSource(
            source_id, self._plan.names[source_id], tuple(self._plan.manifest.class_names)
        )
        pool = self._caller_pools[source_id]
        sender = self._caller.open(described, pool, is_lossless=is_lossless)
        copies.callback(sender.close)
        yield sender


def _view_pool(plan: Plan, source_id: int, resources: ExitStack) -> BufferPool:
    """Return a small pool for a viewer of a source; ``resources`` closes it."""
    pool = BufferPool.create(plan.layout(source_id), SLOT_COUNT)
    resources.callback(pool.close)
    return pool


def _open_hubs(plan: Plan, resources: ExitStack) -> dict[str, ResultsHub]:
    """Returns where results are published, by endpoint as typed."""
    endpoints = dict.fromkeys(text for of in plan.deliveries for text in of.endpoints)
    if not endpoints:
        return {}
    from maskstream.stream.network.zmq_socket import parse_endpoint
    from maskstream.stream.telemetry.results_publisher import ResultsHub

    hubs = {text: ResultsHub(parse_endpoint(text)) for text in endpoints}
    for hub in hubs.values():
        resources.callback(hub.close)
    return hubs


def _allocate(
    plan: Plan, resources: ExitStack, on_event: Callable[[Event], None]
) -> list[BufferPool]:
    """Returns a pool for each source.

    Raises:
        ConfigError: There is not enough memory for all of them.
    """
    source_count = len(plan.infos)
    check_memory(plan.pool_bytes(), f"pools of {source_count} sources")
    pools = []
    for source_id in range(source_count):
        pool = BufferPool.create(plan.layout(source_id), plan.slot_count)
        resources.callback(pool.close)
        on_event(Event("info", pool.describe()))
        pools.append(pool)
    return pools
