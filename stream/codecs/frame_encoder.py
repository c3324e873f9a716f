"""Planes into packets, on their own: one encoder may fill many files, one after the other.

A file's end then costs the line nothing: an encoder of the file's own would have to give up all the
frames that it looks ahead at, which at 1080p takes it a second, and start anew.
"""

from __future__ import annotations

from io import BytesIO

import av
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream

from maskstream.stream.codecs.encoding import EncoderSettings, FrameWrapper, add_video
from maskstream.stream.errors import StageError
from maskstream.stream.memory.frame import Planes

KEYFRAME_S = 2
"""From one keyframe to the next at most, by the pts: a live source's rate is only a promise."""


class FrameEncoder:
    """Encodes one sequence of frames."""

    def __init__(self, settings: EncoderSettings, container: str) -> None:
        """Open the encoder.

        Args:
            settings: Of the pictures.
            container: FFmpeg's name of the kind of file that the packets are for.
        """
        self._settings = settings
        self._wrapper = FrameWrapper()
        self._last_pts: int | None = None
        self._last_duration = settings.nominal_duration
        self._key_pts = 0
        self._durations: dict[int, int] = {}
        # PyAV ties an encoder to a file: this one lies in memory and stays empty.
        self._studio = av.open(BytesIO(), mode="w", format=container)
        self.stream: VideoStream = add_video(self._studio, settings)
        """What a file's stream is made after."""
        self._studio.start_encoding()

    def encode(
        self, planes: Planes, pts: int, *, duration: int | None = None, is_key: bool = False
    ) -> list[Packet[VideoStream]]:
        """Returns the packets that are ready, in decoding order, with their durations.

        Args:
            planes: I420 of the encoder's size; free again on return.
            pts: In the time base, greater than that of the frame before.
            duration: How long to show it, in the time base; as usual where it is None. Matters
                for the last frame only: every other one is shown until the next.
            is_key: Whether a file is to be cut before this frame.

        Raises:
            StageError: The pts does not increase.
        """
        if self._last_pts is not None:
            if pts <= self._last_pts:
                raise StageError(
                    f"encoder: a frame with pts {pts} after one with {self._last_pts}; "
                    "they must increase."
                )
            # A file that ends here is not held on its last picture until the next one begins.
            limit = self._last_duration if is_key else pts
            self._durations[self._last_pts] = min(pts - self._last_pts, limit)
        is_due = self._last_pts is None or self._is_late(pts)
        self._last_pts = pts
        self._last_duration = duration or self._settings.nominal_duration
        frame = self._wrapper.wrap(planes)
        frame.pts, frame.time_base = pts, self._settings.time_base
        frame.pict_type = PictureType.NONE
        if is_key or is_due:
            self._key_pts = pts
            frame.pict_type = PictureType.I
        return self._timed(self.stream.encode(frame))

    def flush(self) -> list[Packet[VideoStream]]:
        """Returns the packets that are left, after the last frame."""
        return self._timed(self.stream.encode(None))

    def close(self) -> None:
        """Release the encoder."""
        self._studio.close()

    def _is_late(self, pts: int) -> bool:
        return (pts - self._key_pts) * self._settings.time_base >= KEYFRAME_S

    def _timed(self, packets: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
        for packet in packets:
            if packet.pts is not None:
                # Still unknown only for a frame that the encoder gives back at once.
                packet.duration = self._durations.pop(packet.pts, self._last_duration)
        return packets
