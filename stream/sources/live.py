"""A live source: connected when it is there, reconnected for ever when it is not.

A stream that states its length, such as a video on a web server, is read once and ends.

The description is fixed before: the canvas must not depend on what a camera is set to when it
comes back. A picture of another size begins a new epoch and is fitted into the canvas.

``frames`` is read by one thread; ``stop`` and ``events`` may be called by another.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial

import av.error
from av.video.frame import VideoFrame

from maskstream.stream.addresses.redact import shown
from maskstream.stream.memory.frame import Planes
from maskstream.stream.memory.source_info import DecodedFrame, SourceInfo, SourceProblem
from maskstream.stream.options import LiveOptions
from maskstream.stream.pixels.geometry import UPRIGHT, Placement, place
from maskstream.stream.processes.backoff import LONGEST_S, Backoff
from maskstream.stream.sources.facts import sample_aspect_of, time_base_of
from maskstream.stream.sources.live_clock import LIVE_TIME_BASE, LiveClock, Pace
from maskstream.stream.sources.live_open import Link, Patience, open_link
from maskstream.stream.sources.live_packets import Undecodable, packets_of
from maskstream.stream.sources.picture import PictureConverter
from maskstream.stream.sources.trouble import ANSWERS_NO, Trouble

_HEALTHY_S = 10.0
"""A connection that held for so long starts the waits anew."""
_SOON_S = 1.0
"""Longest wait for a source that is merely away: a look costs little, and it is wanted at once."""
_REPEATED_S = 12.0
"""So much of a list of segments may come again after a reconnection, and comes at once."""
_AT_ONCE_S = 2.0


class LiveSource:
    """A ``Source`` that never ends by itself. Connects when its frames are asked for."""

    def __init__(
        self,
        uri: str,
        info: SourceInfo,
        *,
        options: LiveOptions,
        threads: int,
        after: tuple[int, int, int] | None = None,
    ) -> None:
        """Prepare to read ``uri`` into pictures as ``info`` says.

        Args:
            uri: As the user gave it.
            info: The canvas, and what else is fixed.
            options: Time limits and transport.
            threads: Of the decoder.
            after: Arrival (monotonic ns), pts and epoch of the frame after which to go on.
        """
        self.info = info
        self.decode_error_count = 0
        """Frames that could not be decoded since the source was there first."""
        self._uri = uri
        self._options = options
        self._threads = threads
        self._stopped = threading.Event()
        self._events: deque[str] = deque(maxlen=100)
        self._clock = LiveClock()
        if after is not None:
            self._clock.go_on(after[0] / 1e9, after[1])
        self._backoff = Backoff()
        self._converter = PictureConverter(info.color_range, info.color_matrix, threads)
        self._shape: tuple[int, int] | None = None
        self._device: str | None = None
        self._patience = Patience()
        self._own_s: float | None = None
        self._epoch = -1 if after is None else after[2]
        self._frame_count = 0
        self._lost_s: float | None = None
        self._told: str | None = None
        self._told_notes = set(info.warnings)
        self._error: SourceProblem | None = None

    @property
    def error(self) -> SourceProblem | None:
        """Why a recording ended early; None for a live source: what is lost is waited for."""
        return self._error

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was known from the start; everything else is in ``events``."""
        return self.info.warnings

    @property
    def lost_since_ns(self) -> int | None:
        """Since when it is away, on the monotonic clock; None while it is there."""
        return None if self._lost_s is None else int(self._lost_s * 1e9)

    def events(self) -> Iterator[str]:
        """Yields what happened since the last call, one line each: lost why, back after what."""
        with suppress(IndexError):
            while True:
                yield self._events.popleft()

    def stop(self) -> None:
        """Let ``frames`` end as soon as what it waits for is over, a read's timeout at most."""
        self._stopped.set()

    def close(self) -> None:
        """Stop. The connection belongs to ``frames``, which closes it as it ends."""
        self.stop()

    def frames(self) -> Iterator[DecodedFrame]:
        """Yields frames until ``stop``, over as many connections as it takes.

        Raises:
            Trouble: A recording cannot be opened.
        """
        while not self._stopped.is_set():
            begun_s = time.monotonic()
            try:
                with closing(self._connect()) as link:
                    yield from self._frames_of(link)
                trouble = Trouble("ended", self._uri, "the stream ended")
            except Trouble as exc:
                trouble = exc
            if self._stopped.is_set() or self._is_over(trouble):
                return
            self._note_lost(trouble)
            if time.monotonic() - begun_s > _HEALTHY_S:
                self._backoff.reset()
            longest_s = LONGEST_S if trouble.kind in ANSWERS_NO else _SOON_S
            self._stopped.wait(self._backoff.next_s(longest_s))

    def _connect(self) -> Link:
        link = open_link(
            self._uri, self._options, threads=self._threads, device=self._device,
            patience=self._patience,
        )  # fmt: skip
        self._device = link.device
        self._events.extend(note for note in link.notes if note not in self._told_notes)
        self._told_notes.update(link.notes)
        if link.is_segmented and self.info.duration_s is None and link.container.duration:
            link.close()
            raise Trouble("ended", self._uri, "the stream ended and its list is closed")
        return link

    def _is_over(self, trouble: Trouble) -> bool:
        """Whether a recording is at its end, regular or not."""
        if self.info.duration_s is None:
            return False
        if trouble.kind != "ended":
            self._error = SourceProblem(str(trouble), self._frame_count, self._clock.last_s)
        return True

    def _frames_of(self, link: Link) -> Iterator[DecodedFrame]:
        pace: Pace = "recording"
        if self.info.duration_s is None:
            pace = "bursts" if link.is_segmented else "arrival"
        self._clock.reconnect(pace)
        seen_s, has_decoded, frame_count = self._own_s, False, 0
        begun_s = time.monotonic()
        undecodable = Undecodable()
        for packet in packets_of(link, self._stopped.is_set, self._patience):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                # Before its first whole picture every stream joined midway looks damaged.
                self.decode_error_count += frame_count > 0
                frames = []
            for frame in frames:
                has_decoded = True
                if pace == "bursts":
                    is_early = time.monotonic() - begun_s < _AT_ONCE_S
                    if self._is_repeated(frame, link, seen_s) and is_early:
                        continue
                if not frame_count:
                    self._note_back()
                frame_count += 1
                self._frame_count += 1
                decoded = self._delivered(frame, link)
                if pace == "bursts":
                    self._stopped.wait(max(0.0, self._clock.due_s(decoded.pts) - time.monotonic()))
                yield decoded
            if not has_decoded:
                undecodable.check(packet, self._uri)

    def _is_repeated(self, frame: VideoFrame, link: Link, seen_s: float | None) -> bool:
        """Whether a frame came before, by its own time; ``seen_s`` is of the last that did."""
        if frame.pts is None:
            return False
        self._own_s = float(frame.pts * time_base_of(link.stream))
        return seen_s is not None and seen_s - _REPEATED_S < self._own_s <= seen_s

    def _delivered(self, frame: VideoFrame, link: Link) -> DecodedFrame:
        aspect = sample_aspect_of(link.stream, [])
        if (frame.width, frame.height) != self._shape:
            self._shape = (frame.width, frame.height)
            self._epoch += 1
            canvas = (self.info.width, self.info.height)
            self._placement = place(frame.width, frame.height, aspect, UPRIGHT, canvas)
        timestamp = frame.dts if frame.pts is None else frame.pts
        if link.is_untimed:
            timestamp = None
        return DecodedFrame(
            pts=self._clock.next(timestamp, time_base_of(link.stream), time.monotonic()),
            time_base=LIVE_TIME_BASE,
            epoch=self._epoch,
            width=frame.width,
            height=frame.height,
            writer=partial(self._write, frame, self._placement),
        )

    def _write(self, frame: VideoFrame, placement: Placement, planes: Planes) -> None:
        try:
            self._converter.write(frame, UPRIGHT, placement, planes)
        except av.error.FFmpegError as exc:
            text = f"pictures of format {frame.format.name} cannot be converted"
            raise Trouble("unsupported", self._uri, text) from exc

    def _note_lost(self, trouble: Trouble) -> None:
        """Tell that the source is away: once, and again when the reason is another."""
        if self._lost_s is None:
            self._lost_s = time.monotonic()
        if trouble.found != self._told:
            self._told = trouble.found
            text = str(trouble).rstrip(".")
            self._events.append(f"{text}; trying again until it is there.")

    def _note_back(self) -> None:
        if self._lost_s is not None:
            away_s = time.monotonic() - self._lost_s
            self._events.append(f"{shown(self._uri)}: back after {away_s:.1f} s.")
        self._lost_s = self._told = None
