"""Stretches of a file within which its times go on; a new one begins where they leap or fall back.

Recordings that were joined byte by byte, broadcasts that were cut and cameras whose clock was set
count from elsewhere in the middle of the file. Each new stretch is moved so that it follows the one
before. The video decides, by its packets' decode times in the order of the file; sound is moved by
as much as the video of its stretch.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from maskstream.stream.sources.facts import RATE_MAX_HZ, time_base_of

_BACK_S = Fraction(1, 2)
"""Times that fall back by less are out of order, which the timeline repairs frame by frame."""
_LEAP_S = Fraction(10)
"""Times that leap by more belong to another recording: as players have it."""
_BROADCAST_FORMATS = frozenset({"mpegts", "mpeg", "hls"})
"""Formats whose times may leap. All others state their gaps on purpose, however long."""
_USUAL_RATE_HZ = Fraction(25)
_INDEXED_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "avi"})
"""Formats whose index counts the time; it cannot fall back."""


@dataclass(frozen=True, slots=True)
class Leap:
    """Where a new stretch begins."""

    at_s: Fraction
    """In the file's times made continuous."""
    by_s: Fraction
    """How far the file's own time moved, forward or back, beyond one frame."""


class Stretches:
    """Makes the decode times of one video stream continuous."""

    def __init__(self, container: InputContainer, step_s: Fraction) -> None:
        """Start before the first packet.

        Args:
            container: The file.
            step_s: Usual time from frame to frame.
        """
        self._step_s = step_s
        self.is_watched = container.format.name not in _INDEXED_FORMATS
        """Whether times may begin again at all."""
        self.is_searchable = container.format.name not in _BROADCAST_FORMATS
        """Whether a time of the file belongs to one place of it."""
        self._leap_s = None if self.is_searchable else _LEAP_S
        self._last_s: Fraction | None = None
        self.offsets_s: list[Fraction] = [Fraction(0)]
        """To be added to the times of each stretch so far, in seconds."""
        self.leaps: list[Leap] = []
        """Where each stretch but the first begins."""

    @property
    def offset_s(self) -> Fraction:
        """What is to be added to the times of the present stretch, in seconds."""
        return self.offsets_s[-1]

    def see(self, time_s: Fraction | None) -> Fraction:
        """Return what is to be added to the times of the packet decoded at ``time_s``, in seconds.

        Args:
            time_s: By the file; None where the packet has no time.
        """
        if time_s is None or not self.is_watched:
            return self.offset_s
        if self._last_s is not None and self.is_apart(time_s - self._last_s):
            self._begin(time_s, self._last_s)
        self._last_s = time_s
        return self.offset_s

    def is_apart(self, delta_s: Fraction) -> bool:
        """Return whether times that differ by so much belong to different stretches."""
        return delta_s < -_BACK_S or (self._leap_s is not None and delta_s > self._leap_s)

    def _begin(self, time_s: Fraction, last_s: Fraction) -> None:
        at_s = last_s + self.offset_s + self._step_s
        # A single wrong time is no recording of its own: what follows goes on as before it.
        if len(self.offsets_s) > 1:
            before_s = time_s + self.offsets_s[-2]
            if 0 < before_s - (last_s + self.offset_s) <= 2 * self._step_s:
                self.offsets_s.append(self.offsets_s[-2])
                self.leaps.append(Leap(before_s, time_s - last_s - self._step_s))
                return
        self.offsets_s.append(at_s - time_s)
        self.leaps.append(Leap(at_s, time_s - last_s - self._step_s))

    def warnings(self, start_s: Fraction) -> tuple[str, ...]:
        """Return what was closed up, in one line; nothing where nothing was.

        Args:
            start_s: The file's first timestamp.
        """
        if not self.leaps:
            return ()
        first = self.leaps[0]
        way = "leap forward" if first.by_s > 0 else "go back"
        at_s, by_s = float(first.at_s - start_s), abs(float(first.by_s))
        where = f"at {at_s:.2f} s its times {way} by {by_s:.1f} s"
        more = len(self.leaps) - 1
        others = f", and {more} more such places" if more else ""
        return (f"{where}{others}; closed up, as one recording after the other",)


def stretches_of(container: InputContainer, stream: VideoStream) -> Stretches:
    """Return what makes the times of ``stream`` continuous, before its first packet."""
    stated = (stream.average_rate, stream.guessed_rate)
    rates_hz = (rate for rate in stated if rate and 0 < rate <= RATE_MAX_HZ)
    return Stretches(container, 1 / Fraction(next(rates_hz, _USUAL_RATE_HZ)))


def decode_time_s(packet: Packet[Any]) -> Fraction | None:
    """Return when a packet is decoded, in seconds; None where the file does not say."""
    when = packet.pts if packet.dts is None else packet.dts
    return None if when is None else when * Fraction(packet.time_base)


def shift_to_stretch(packet: Packet[VideoStream], stretches: Stretches) -> None:
    """Move a packet's times so that they go on after the packets before it."""
    offset_s = stretches.see(decode_time_s(packet))
    if not offset_s:
        return
    offset = round(offset_s / time_base_of(packet.stream))
    if packet.pts is not None:
        packet.pts += offset
    if packet.dts is not None:
        packet.dts += offset
