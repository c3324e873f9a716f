"""Measures how long a 1080p frame takes from one process's hand into another's, by several ways.

The clock starts when the frame is complete in the giver's memory and stops when the taker can read
it. Frames are spaced out, so each way is measured at rest and not by how fast it can be flooded.
Repeat with ``python -m maskstream.tools.bench.handover``.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskstream.stream.memory.channel import Kind, Message, Receiver, Sender, open_channel
from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import SlotLayout

WIDTH_PX, HEIGHT_PX = 1920, 1080
FRAME_BYTES = WIDTH_PX * HEIGHT_PX * 3 // 2
FRAME_COUNT = 300
SPACING_S = 0.005
_WARM_UP_COUNT = 20
_SLOT_COUNT = 4
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class HandOver:
    """What one way took, in milliseconds."""

    way: str
    p50_ms: float
    p95_ms: float
    p99_ms: float


def measure_handover(
    *, frame_count: int = FRAME_COUNT, spacing_s: float = SPACING_S
) -> list[HandOver]:
    """Returns the figures of each way, ours first, measured one after the other.

    A way whose package is not installed is left out.

    Args:
        frame_count: Frames that count, after a few that warm up.
        spacing_s: Pause between two frames.
    """
    measured = []
    for way, measure in WAYS.items():
        if measure is _by_zmq and find_spec("zmq") is None:
            continue
        taken_ns = measure(frame_count + _WARM_UP_COUNT, spacing_s)[_WARM_UP_COUNT:]
        p50, p95, p99 = np.percentile(np.array(taken_ns) / 1e6, [50, 95, 99])
        measured.append(HandOver(way, float(p50), float(p95), float(p99)))
    return measured


def main() -> None:
    """Measure and print a table."""
    measured = measure_handover()
    print(f"hand-over of a {WIDTH_PX}x{HEIGHT_PX} I420 frame, ms, {FRAME_COUNT} frames")
    for row in measured:
        ratio = row.p50_ms / measured[0].p50_ms
        print(
            f"{row.way:24} p50 {row.p50_ms:7.3f}  p95 {row.p95_ms:7.3f}  p99 {row.p99_ms:7.3f}"
            f"  {ratio:6.1f} x"
        )


def _by_slot(count: int, spacing_s: float) -> list[int]:
    pool = BufferPool.create(SlotLayout(WIDTH_PX, HEIGHT_PX, top_k=1, patch_px=1), _SLOT_COUNT)
    sender, receiver = open_channel()
    credit_out, credit_in = open_channel()

    def give(number: int) -> None:
        index = number if number < _SLOT_COUNT else credit_in.receive(_TIMEOUT_S).slot
        slot = pool.slot(index)
        slot.planes.y[0, 0] = number % 256
        slot.header.put_ns[0] = time.monotonic_ns()
        sender.send(Message(Kind.FRAME, index, number), _TIMEOUT_S)

    with _taker(_take_slots, pool, receiver, credit_out, count) as answer:
        receiver.close()
        credit_out.close()
        _paced(give, count, spacing_s)
        taken_ns: list[int] = answer.recv()
    sender.close()
    credit_in.close()
    pool.close()
    return taken_ns


def _take_slots(
    answer: Connection, pool: BufferPool, receiver: Receiver, credit: Sender, count: int
) -> None:
    taken_ns = []
    with receiver, credit:
        for number in range(count):
            slot = pool.slot(receiver.receive(_TIMEOUT_S).slot)
            is_right = slot.planes.y[0, 0] == number % 256
            taken_ns.append(time.monotonic_ns() - slot.header.put_ns[0])
            _check(is_right, number)
            credit.send(Message(Kind.FRAME, slot.index), _TIMEOUT_S)
        answer.send(taken_ns)


def _by_queue(count: int, spacing_s: float) -> list[int]:
    queue: Queue[tuple[int, NDArray[np.uint8]]] = multiprocessing.get_context("spawn").Queue(
        _SLOT_COUNT
    )
    frame = np.zeros(FRAME_BYTES, np.uint8)

    def give(number: int) -> None:
        frame[0] = number % 256
        queue.put((time.monotonic_ns(), frame), timeout=_TIMEOUT_S)

    with _taker(_take_from_queue, queue, count) as answer:
        _paced(give, count, spacing_s)
        taken_ns: list[int] = answer.recv()
    queue.close()
    queue.join_thread()
    return taken_ns


def _take_from_queue(
    answer: Connection, queue: Queue[tuple[int, NDArray[np.uint8]]], count: int
) -> None:
    taken_ns = []
    for _ in range(count):
        put_ns, _frame = queue.get(timeout=_TIMEOUT_S)
        taken_ns.append(time.monotonic_ns() - put_ns)
    answer.send(taken_ns)


def _by_zmq(count: int, spacing_s: float) -> list[int]:
    import zmq

    frame = np.zeros(FRAME_BYTES, np.uint8)
    with tempfile.TemporaryDirectory() as folder, zmq.Context() as context:
        address = f"ipc://{Path(folder) / 'frames'}"
        with context.socket(zmq.PUSH) as socket:
            socket.set_hwm(_SLOT_COUNT)
            socket.bind(address)

            def give(number: int) -> None:
                frame[0] = number % 256
                put_ns = time.monotonic_ns()
                socket.send_multipart([put_ns.to_bytes(8, "little"), frame.data], copy=False)

            with _taker(_take_from_zmq, address, count) as answer:
                _paced(give, count, spacing_s)
                taken_ns: list[int] = answer.recv()
    return taken_ns


def _take_from_zmq(answer: Connection, address: str, count: int) -> None:
    import zmq

    taken_ns = []
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.set_hwm(_SLOT_COUNT)
        socket.connect(address)
        for _ in range(count):
            stamp, frame = socket.recv_multipart(copy=False)
            np.frombuffer(frame.buffer, np.uint8)
            taken_ns.append(time.monotonic_ns() - int.from_bytes(stamp.bytes, "little"))
    answer.send(taken_ns)


WAYS: dict[str, Callable[[int, float], list[int]]] = {
    "slot index (ours)": _by_slot,
    "pyzmq ipc, no copy": _by_zmq,
    "multiprocessing.Queue": _by_queue,
}
"""Name of a way -> what measures it: (frame count, spacing in s) -> durations in ns."""


@contextmanager
def _taker(body: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """Runs ``body`` in a process of its own; gives where its answer comes from."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=body, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.join(_TIMEOUT_S)
        process.kill()
        process.join()
        process.close()
        ours.close()


def _paced(give: Callable[[int], None], count: int, spacing_s: float) -> None:
    """Call ``give`` with each number, with pauses between."""
    for number in range(count):
        time.sleep(spacing_s)
        give(number)


def _check(is_right: bool, number: int) -> None:
    if not is_right:
        raise ValueError(f"frame {number}: another one was in the slot.")


if __name__ == "__main__":
    main()
