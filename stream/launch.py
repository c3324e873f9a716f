"""Memory and processes of a run: taken in order, given back whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from stream.outcome import Event
from stream.plan import Plan
from stream.pool import BufferPool, check_memory
from stream.topology import join
from stream.worker import Worker


def allocate_pools(
    plan: Plan, resources: ExitStack, on_event: Callable[[Event], None]
) -> list[BufferPool]:
    """Returns a pool for each source; ``resources`` gives them back.

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


def start_workers(plan: Plan, pools: list[BufferPool], resources: ExitStack) -> list[Worker]:
    """Returns the stages' processes in the frames' way, started; ``resources`` ends them."""
    stations = join(len(plan.infos))
    for station in stations:
        resources.callback(station.close)
    workers: dict[str, Worker] = {}
    # The engine takes longest to load, so its process is started first.
    for station in sorted(stations, key=lambda station: not station.row.is_shared):
        worker = Worker(station, plan, pools)
        # These copies would keep the stage's neighbours from noticing its death.
        station.close()
        resources.callback(_put_away, worker)
        workers[worker.label] = worker
    return [workers[station.label] for station in stations]


def _put_away(worker: Worker) -> None:
    """Make sure that ``worker`` has ended, and release it."""
    if worker.is_alive:
        worker.kill()
        worker.reap()
    worker.close()
