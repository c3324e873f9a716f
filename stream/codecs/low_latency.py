"""Frames for whoever watches now: timed by the source, encoded one by one, left out where late.

What is left out leaves a gap in time and nothing else: the pts are the frames' own.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.video.frame import PictureType, VideoFrame

from maskstream.stream.codecs.encoding import FrameWrapper
from maskstream.stream.memory.frame import FrameHeader, Planes

SENT_TIME_BASE = Fraction(1, 90_000)
"""Of RTP and MPEG-TS."""
_KEYFRAME_SPACING = round(2 / SENT_TIME_BASE)
_NS_PER_UNIT = Fraction(1_000_000_000) * SENT_TIME_BASE


class SentClock:
    """Gives every frame its pts in ``SENT_TIME_BASE``: 0 for the first, strictly increasing."""

    def __init__(self) -> None:
        """Start before the first frame."""
        self._offset: int | None = None
        self._last = 0
        self._captured_ns = 0

    def next(self, header: FrameHeader) -> int:
        """Returns the pts of a frame; where its source began anew, time goes on as it passed."""
        own = round(header.pts * header.time_base / SENT_TIME_BASE)
        if self._offset is None:
            self._offset = -own
        elif own + self._offset <= self._last:
            passed = round((header.captured_ns - self._captured_ns) / _NS_PER_UNIT)
            self._offset = self._last + max(1, passed) - own
        self._last = own + self._offset
        self._captured_ns = header.captured_ns
        return self._last


class SentEncoder:
    """Encodes frames with a keyframe every 2 s of their time at the latest, or when asked."""

    def __init__(self, encode: Callable[[VideoFrame | None], list[Packet[Any]]]) -> None:
        """Encode with ``encode``, of a stream or a codec context."""
        self._encode = encode
        self._wrapper = FrameWrapper()
        self._key_pts: int | None = None

    def encode(self, planes: Planes, pts: int, *, is_key: bool = False) -> list[Packet[Any]]:
        """Returns the packets of one frame; ``planes`` may be written again afterwards.

        Args:
            planes: I420 of the encoder's size.
            pts: In ``SENT_TIME_BASE``, greater than that of the frame before.
            is_key: Whether it has to be a keyframe.
        """
        # The encoder counts frames, and where many are left out its keyframes are far apart.
        is_key |= self._key_pts is None or pts - self._key_pts >= _KEYFRAME_SPACING
        frame = self._wrapper.wrap(planes)
        frame.pts, frame.time_base = pts, SENT_TIME_BASE
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        packets = self._encode(frame)
        if any(packet.is_keyframe for packet in packets):
            self._key_pts = pts
        return packets
