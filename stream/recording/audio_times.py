"""Packets of sound, moved with the video where the times of a file leap or begin again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from maskstream.stream.sources.media import packets_of
from maskstream.stream.sources.stretches import Stretches, decode_time_s, stretches_of

_HELD_MAX = 2000
"""Packets of sound that wait, at most, for the picture with which their stretch begins."""
_NEAR_S = 5
"""Sound of one recording begins so close to the end of the sound of the one before it."""


@dataclass(slots=True)
class _Lane:
    """One stream of sound."""

    offset_s: Fraction
    last_s: Fraction
    """By the file."""
    held: deque[Packet[AudioStream]] = field(default_factory=deque)


def sound_of(container: InputContainer) -> Iterator[Packet[AudioStream]]:
    """Yield the packets of all sound in the order of the file, in times that go on.

    Raises:
        FFmpegError: The file cannot be read any further.
    """
    yield from _Sound(container, watched_video(container)).packets()


def watched_video(container: InputContainer) -> VideoStream | None:
    """Return the video whose times may leap, and the sound's with them; None where none may."""
    video = container.streams.best("video")
    if not isinstance(video, VideoStream) or video.codec_context is None:
        return None
    return video if stretches_of(container, video).is_watched else None


class _Sound:
    def __init__(self, container: InputContainer, video: VideoStream | None) -> None:
        self._container = container
        self._video = video
        self._stretches = None if video is None else stretches_of(container, video)
        self._lanes: dict[int, _Lane] = {}

    def packets(self) -> Iterator[Packet[AudioStream]]:
        streams = [*self._container.streams.audio, *([self._video] if self._video else [])]
        for packet in packets_of(self._container, streams):
            when_s = decode_time_s(packet) if packet.size else None
            if when_s is None:
                continue
            if self._stretches is None:
                yield cast("Packet[AudioStream]", packet)
            elif packet.stream is self._video:
                known = len(self._stretches.offsets_s)
                self._stretches.see(when_s)
                if len(self._stretches.offsets_s) > known:
                    yield from self._released(self._stretches)
            else:
                sound = cast("Packet[AudioStream]", packet)
                yield from self._moved(sound, when_s, self._stretches)
        for lane in self._lanes.values():
            yield from _let_go(lane)

    def _moved(
        self, packet: Packet[AudioStream], when_s: Fraction, stretches: Stretches
    ) -> Iterator[Packet[AudioStream]]:
        lane = self._lanes.get(packet.stream.index)
        if lane is None:
            lane = self._lanes[packet.stream.index] = _Lane(stretches.offset_s, when_s)
        if lane.held or stretches.is_apart(when_s - lane.last_s):
            lane.held.append(packet)
            if not _settle(lane, stretches) and len(lane.held) <= _HELD_MAX:
                return
            yield from _let_go(lane)
            return
        lane.last_s = when_s
        yield _shifted(packet, lane.offset_s)

    def _released(self, stretches: Stretches) -> Iterator[Packet[AudioStream]]:
        for lane in self._lanes.values():
            if lane.held and _settle(lane, stretches):
                yield from _let_go(lane)


def _settle(lane: _Lane, stretches: Stretches) -> bool:
    """Return whether a stretch of the video is known that the waiting sound belongs to."""
    first_s = decode_time_s(lane.held[0]) or Fraction(0)
    end_s = lane.last_s + lane.offset_s
    near = min(stretches.offsets_s, key=lambda offset_s: abs(first_s + offset_s - end_s))
    if abs(first_s + near - end_s) > _NEAR_S:
        return False
    lane.offset_s, lane.last_s = near, first_s
    return True


def _let_go(lane: _Lane) -> Iterator[Packet[AudioStream]]:
    """Yield what waited; right after the sound before it where no video said where."""
    if not lane.held:
        return
    first_s = decode_time_s(lane.held[0]) or Fraction(0)
    if first_s != lane.last_s:
        lane.offset_s += lane.last_s - first_s
    while lane.held:
        packet = lane.held.popleft()
        lane.last_s = decode_time_s(packet) or lane.last_s
        yield _shifted(packet, lane.offset_s)


def _shifted(packet: Packet[AudioStream], offset_s: Fraction) -> Packet[AudioStream]:
    offset = round(offset_s / Fraction(packet.time_base))
    if offset:
        packet.pts = None if packet.pts is None else packet.pts + offset
        packet.dts = None if packet.dts is None else packet.dts + offset
    return packet
