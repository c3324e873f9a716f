"""The sound of a source file, copied packet by packet into a recording of its pictures.

Sound is never decoded: its packets keep their own timestamps, moved by the same start as the
pictures. Whatever is wrong with it must not harm the pictures: a stream that the container cannot
hold, or that breaks off, is left out with a warning.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import cast

import av
import av.error
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Discard

from stream.errors import SourceError
from stream.media import cause_of, open_media, start_of

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS})


@dataclass(slots=True)
class _Track:
    output: AudioStream
    start: int
    unframing: BitStreamFilterContext | None = None
    last_dts: int | None = None
    skipped_count: int = 0
    is_broken: bool = False


class AudioCopy:
    """Copies all sound of one file. Opens the file once more, for its sound alone."""

    def __init__(self, uri: str, container: OutputContainer) -> None:
        """Add to ``container`` a stream for every sound of ``uri`` that it can hold."""
        self._uri = uri
        self._container = container
        # Matroska stores no time before 0. Its muxer would move the pictures later instead, by the
        # few packets with which a sound encoder warms up; these are left out there.
        self._takes_negative = container.format.name != "matroska"
        self._tracks: dict[int, _Track] = {}
        self._next: Packet[AudioStream] | None = None
        self._failure: str | None = None
        self._notes: list[str] = []
        self.packet_count = 0
        """Packets written so far."""
        try:
            self._input = open_media(uri)
        except SourceError as exc:
            self._notes.append(str(exc))
            self._packets: Iterator[Packet[AudioStream]] = iter(())
            return
        start_s = start_of(self._input) or Fraction(0)
        for stream in self._input.streams:
            stream.discard = Discard.all
        for stream in self._input.streams.audio:
            self._add(stream, start_s)
        self._packets = self._read()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was left out, one line each."""
        skipped = sum(track.skipped_count for track in self._tracks.values())
        notes = [*self._notes]
        if skipped:
            notes.append(f"{self._uri}: {skipped} packets of sound out of order; left out.")
        if self._failure:
            notes.append(f"{self._uri}: the sound breaks off: {self._failure}.")
        return tuple(notes)

    def copy_until(self, limit_s: Fraction | None) -> None:
        """Write the packets that start before ``limit_s``; all that are left where it is None.

        Raises:
            OSError: The disk is full or failed. Nothing else is raised.
        """
        while True:
            if self._next is None:
                self._next = next(self._packets, None)
            packet = self._next
            if packet is None or not self._is_before(packet, limit_s):
                return
            self._next = None
            self._write(packet)

    def close(self) -> None:
        """Release the file."""
        if self._tracks:
            self._input.close()

    def _add(self, stream: AudioStream, start_s: Fraction) -> None:
        why = _unfit(stream, self._container.format.name)
        if why is not None:
            name = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
            self._notes.append(
                f"{self._uri}: sound stream {stream.index} ({name}) does not fit the recording "
                f"({why}); left out."
            )
            return
        output = self._container.add_stream_from_template(stream)
        output.metadata.update({k: v for k, v in stream.metadata.items() if k == "language"})
        start = round(start_s / stream.time_base) if stream.time_base else 0
        self._tracks[stream.index] = _Track(output, start, _unframing(stream))
        stream.discard = Discard.default

    def _read(self) -> Iterator[Packet[AudioStream]]:
        if not self._tracks:
            return
        wanted = [stream for stream in self._input.streams.audio if stream.index in self._tracks]
        try:
            for packet in self._input.demux(wanted):
                if packet.size and (packet.dts is not None or packet.pts is not None):
                    yield cast("Packet[AudioStream]", packet)
        except av.error.FFmpegError as exc:
            self._failure = cause_of(exc)

    def _is_before(self, packet: Packet[AudioStream], limit_s: Fraction | None) -> bool:
        if limit_s is None:
            return True
        when = packet.pts if packet.dts is None else packet.dts
        track = self._tracks[packet.stream.index]
        return when is None or (when - track.start) * packet.time_base < limit_s

    def _write(self, packet: Packet[AudioStream]) -> None:
        track = self._tracks[packet.stream.index]
        dts = packet.pts if packet.dts is None else packet.dts
        if dts is None or track.is_broken:
            return
        dts -= track.start
        pts = dts if packet.pts is None else packet.pts - track.start
        if (track.last_dts is not None and dts <= track.last_dts) or pts < dts:
            track.skipped_count += 1
            return
        if dts < 0 and not self._takes_negative:
            return
        track.last_dts = dts
        packet.dts, packet.pts = dts, pts
        time_base = packet.time_base  # the filter empties the packet
        try:
            for part in track.unframing.filter(packet) if track.unframing else [packet]:
                part.time_base, part.stream = time_base, track.output
                self._container.mux_one(part)
        except OSError as exc:
            if exc.errno in _DISK_ERRORS:
                raise
            self._break(track, exc)
        except (av.error.FFmpegError, ValueError) as exc:
            self._break(track, exc)
        else:
            self.packet_count += 1

    def _break(self, track: _Track, error: Exception) -> None:
        track.is_broken = True
        self._notes.append(f"{self._uri}: the sound cannot be copied: {cause_of(error)}.")


def _unframing(stream: AudioStream) -> BitStreamFilterContext | None:
    """Returns what takes the broadcast headers off AAC, which files like ours must not have.

    FFmpeg does so by itself, but not for an mp4 that is written in fragments.
    """
    if stream.codec_context.codec.canonical_name == "aac" and not stream.codec_context.extradata:
        return BitStreamFilterContext("aac_adtstoasc", stream)
    return None


def _unfit(stream: AudioStream, container_name: str) -> str | None:
    """Returns why a container cannot hold ``stream``, found by writing a header for it alone."""
    if stream.codec_context is None:
        return "its codec is unknown"
    try:
        with av.open(BytesIO(), mode="w", format=container_name) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError) as exc:
        return cause_of(exc)
    return None
