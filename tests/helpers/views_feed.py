"""Runs a viewer in a process of its own and shows it numbered, moving frames, as the sink would.

::

    with viewing(window.run, settings, {0: (320, 240), 1: (640, 360)}) as viewer:
        viewer.wait_until_ready()
        viewer.show(0)                 # the next frame of source 0, once there is room for it
        with viewer.playing(fps=25):   # all sources, by a thread, until the block ends
            ...
        viewer.end(0)                  # source 0 will give no frame any more
        viewer.end()                   # nor will any other, so the viewer returns
        assert isinstance(viewer.words()[-1], Done)

Each frame carries its number as ``stream.sources.synthetic`` draws it, so ``read_stamp`` of what
the viewer made of it says which frame was seen. To be used in a main thread, as processes are
started.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from maskstream.engines.interface.instances import Instances
from maskstream.stream.errors import PeerGone
from maskstream.stream.memory.counters import StagePage
from maskstream.stream.memory.frame import PIXEL_FORMAT_I420, Holder, Planes
from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import Slot, SlotLayout
from maskstream.stream.memory.source_info import MATRIX_BT601, RANGE_LIMITED
from maskstream.stream.processes.control import (
    ControlEnd,
    ControlMessage,
    Ready,
    open_control,
)
from maskstream.stream.processes.process import apart_from_caller
from maskstream.stream.sources.synthetic import SyntheticSource
from maskstream.stream.stages.stage import StageSetup, run_stage
from maskstream.stream.stages.views import SLOT_COUNT, View, ViewSender

LONGEST_WAIT_S = 50.0
"""For anything; the machine may be busy with much else."""
_FRAMES_MAX = 1_000_000


class SourceFeed:
    """One source's frames: drawn into a slot as the line's own, then shown to the viewer."""

    def __init__(self, source_id: int, size: tuple[int, int], sender: ViewSender) -> None:
        self.source_id = source_id
        self._size = size
        self._sender = sender
        layout = _layout(size)
        self._pool = BufferPool.create(layout, 1)
        uri = f"synthetic:numbered?size={size[0]}x{size[1]}&frames={_FRAMES_MAX}"
        self._frames = SyntheticSource(uri).frames()
        self._lock = threading.Lock()
        self.next_number = 0
        self.shown_count = 0
        """How many frames the viewer had a free slot for."""

    def show(self, paint: Callable[[Planes], None] | None = None, **facts: Any) -> int:
        """Draw the next frame, show it if there is room for it, and return its number."""
        with self._lock:
            number, self.next_number = self.next_number, self.next_number + 1
            frame = next(self._frames)
            slot = self._pool.slot(0)
            frame.write_into(slot.planes)
            if paint is not None:
                paint(slot.planes)
            self._fill(slot, number, **facts)
            self.shown_count += self._sender.show(slot)
            return number

    def try_again(self) -> None:
        """Show the newest frame, which there was no room for."""
        with self._lock:
            self.shown_count += self._sender.show(self._pool.slot(0))

    def end(self) -> None:
        """Say that no frame will come any more."""
        with self._lock:
            self._sender.end()

    def close(self) -> None:
        """Give the memory back."""
        self._pool.close()

    def _fill(
        self,
        slot: Slot,
        number: int,
        *,
        color_range: int = RANGE_LIMITED,
        color_matrix: int = MATRIX_BT601,
        epoch: int = 0,
        instances: Instances | None = None,
    ) -> None:
        header = slot.header
        header.sequence, header.pts, header.duration = number, number, 1
        header.time_base_num, header.time_base_den = 1, 30
        header.captured_ns, header.wall_ns = time.monotonic_ns(), time.time_ns()
        header.source_id, header.epoch = self.source_id, epoch
        header.width, header.height = self._size
        header.decoded_width, header.decoded_height = self._size
        header.pixel_format = PIXEL_FORMAT_I420
        header.color_range, header.color_matrix = color_range, color_matrix
        slot.write_instances(Instances.empty() if instances is None else instances)


class Viewer:
    """A viewer's process, and the other ends of all that it was given."""

    def __init__(
        self,
        process: multiprocessing.process.BaseProcess,
        page: StagePage,
        control: ControlEnd,
        feeds: Mapping[int, SourceFeed],
    ) -> None:
        self.process = process
        self.page = page
        """Where the viewer counts ``taken`` and ``given`` frames and says what it is busy with."""
        self.feeds = feeds
        self._control = control
        self._said: list[ControlMessage] = []

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid or 0

    def show(
        self, source_id: int = 0, *, paint: Callable[[Planes], None] | None = None, **facts: Any
    ) -> int:
        """Show the next frame of a source, once there is room for it, and return its number.

        Args:
            source_id: Whose.
            paint: Called with the planes once the frame is drawn, to draw over it.
            facts: ``color_range``, ``color_matrix``, ``epoch`` and ``instances`` of the frame.
        """
        feed = self.feeds[source_id]
        before = feed.shown_count
        number = feed.show(paint, **facts)

        def is_shown() -> bool:
            if feed.shown_count == before:
                feed.try_again()
            return feed.shown_count > before

        self.wait_for(is_shown, "have room for a frame")
        return number

    @contextmanager
    def playing(
        self, fps: float = 25.0, source_ids: tuple[int, ...] | None = None
    ) -> Iterator[None]:
        """Show ``fps`` frames a second of ``source_ids``, of all where None, while in the block."""
        feeds = [self.feeds[i] for i in (self.feeds if source_ids is None else source_ids)]
        is_over = threading.Event()

        def play() -> None:
            while not is_over.wait(1 / fps):
                for feed in feeds:
                    feed.show()

        thread = threading.Thread(target=play, name="playing")
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def end(self, source_id: int | None = None) -> None:
        """Say that no frame of a source, of any where None, will come any more."""
        for feed in self.feeds.values() if source_id is None else [self.feeds[source_id]]:
            feed.end()

    def said(self) -> list[ControlMessage]:
        """Everything that the viewer has said so far."""
        try:
            while (message := self._control.receive()) is not None:
                self._said.append(message)
        except PeerGone:
            pass
        return self._said

    def words(self) -> list[ControlMessage]:
        """Everything that the viewer said until its process ended, which is waited for."""
        self.process.join(LONGEST_WAIT_S)
        assert self.process.exitcode is not None, "the viewer did not end"
        return self.said()

    def wait_until_ready(self) -> None:
        """Wait until the viewer says that it is ready; fails if it ends before that."""
        self.wait_for(
            lambda: any(isinstance(message, Ready) for message in self.said()), "be ready"
        )

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until ``condition`` holds; fails after a long time, or if the viewer ends first."""
        deadline_s = time.monotonic() + LONGEST_WAIT_S
        while not condition():
            is_over = not self.process.is_alive() and not condition()
            assert not is_over, f"the viewer ended and did not {what}: {self.said()}"
            assert time.monotonic() < deadline_s, f"the viewer did not {what}: {self.said()}"
            time.sleep(0.01)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP, to the process."""
        os.kill(self.pid, number)


@contextmanager
def viewing(
    body: Callable[[Any, Any], None], settings: Any, sizes: Mapping[int, tuple[int, int]]
) -> Iterator[Viewer]:
    """Start a viewer's body with sources of ``sizes``, in pixels by source id; ended in the end.

    A size is at least 160x120, and both numbers are even.
    """
    with ExitStack() as resources:
        views = []
        for source_id, size in sizes.items():
            pool = BufferPool.create(_layout(size), SLOT_COUNT)
            resources.callback(pool.close)
            views.append(resources.enter_context(View(source_id, pool)))
        page = StagePage.create()
        resources.callback(page.close)
        control, theirs = open_control()
        resources.callback(control.close)
        setup = StageSetup(
            label="viewer",
            holder=Holder.FREE,
            body=body,
            settings=settings,
            source_ids=tuple(sizes),
            page=page,
            control=theirs,
            pools=(),
            views=tuple(view.receiver for view in views),
        )
        process = multiprocessing.get_context("spawn").Process(
            target=run_stage, args=(setup,), name="viewer", daemon=True
        )
        with apart_from_caller():
            process.start()
        theirs.close()
        resources.callback(_put_away, process)
        feeds = {}
        for view in views:
            view.receiver.close()
            source_id = view.receiver.source_id
            feeds[source_id] = SourceFeed(source_id, sizes[source_id], view.sender)
            resources.callback(feeds[source_id].close)
        yield Viewer(process, page, control, feeds)


def _layout(size: tuple[int, int]) -> SlotLayout:
    return SlotLayout(*size, top_k=4, patch_px=32)


def _put_away(process: multiprocessing.process.BaseProcess) -> None:
    process.kill()
    process.join()
    process.close()
