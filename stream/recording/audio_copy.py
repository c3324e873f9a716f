"""The sound of a source file, copied packet by packet into a recording of its pictures.

Sound is never decoded: its packets keep their own timestamps, moved by the same start as the
pictures. Whatever is wrong with it must not harm the pictures: a stream that the container cannot
hold, or that breaks off, is left out with a warning.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import av
import av.error
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Discard

from maskstream.errors import SourceError
from maskstream.stream.recording.audio_fit import misfit_of, unframing_of
from maskstream.stream.recording.audio_times import sound_of, watched_video
from maskstream.stream.sources.media import cause_of, open_media, start_of
from maskstream.stream.sources.stretches import stretches_of

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS})
_PEEKED_MAX = 500
"""Packets read ahead, at most, to see the first one of every stream."""


@dataclass(slots=True)
class _Track:
    output: AudioStream
    start: int
    time_base: Fraction
    unframing: BitStreamFilterContext | None
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
        self._start_s = Fraction(0)
        self._tracks: dict[int, _Track] = {}
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._next: Packet[AudioStream] | None = None
        self._failure: str | None = None
        self._gaps_s: list[tuple[Fraction, Fraction]] = []
        self._notes: list[str] = []
        self.packet_count = 0
        """Packets written so far."""
        try:
            self._input = open_media(uri)
        except SourceError as exc:
            self._notes.append(str(exc))
            return
        video = watched_video(self._input)
        self._is_searchable = video is None or stretches_of(self._input, video).is_searchable
        for stream in self._input.streams:
            is_read = stream.type == "audio" or stream is video
            stream.discard = Discard.default if is_read else Discard.all
        self._start_s = start_of(self._input) or Fraction(0)
        packets = self._read()
        firsts, peeked = self._peek(packets)
        for stream in self._input.streams.audio:
            self._add(stream, firsts.get(stream.index))
        self._packets = chain(peeked, packets)

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

    def skip_to(self, start_s: Fraction) -> None:
        """Make ``start_s`` after the source's start the recording's 0; leave out what is before.

        Before anything is copied.
        """
        if not start_s or not self._tracks:
            return
        self._takes_negative = False
        for track in self._tracks.values():
            track.start += round(start_s / track.time_base)
        # A source that cannot be searched is read from its beginning.
        if not self._is_searchable:
            return
        with suppress(av.error.FFmpegError):
            self._input.seek(int((self._start_s + start_s) * av.time_base))
            self._packets, self._next = self._read(), None

    def close_gap(self, at_s: Fraction, by_s: Fraction) -> None:
        """Move the sound from ``at_s`` after the source's start on to be earlier by ``by_s``."""
        self._gaps_s.append((at_s, by_s))

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
        self._packets, self._next = iter(()), None
        if hasattr(self, "_input"):
            self._input.close()

    def _read(self) -> Iterator[Packet[AudioStream]]:
        try:
            yield from sound_of(self._input)
        except av.error.FFmpegError as exc:
            self._failure = cause_of(exc)

    def _peek(
        self, packets: Iterator[Packet[AudioStream]]
    ) -> tuple[dict[int, Packet[AudioStream]], list[Packet[AudioStream]]]:
        """Returns the first packet of each stream, and all that were read to see them."""
        firsts: dict[int, Packet[AudioStream]] = {}
        peeked: list[Packet[AudioStream]] = []
        while len(firsts) < len(self._input.streams.audio) and len(peeked) < _PEEKED_MAX:
            packet = next(packets, None)
            if packet is None:
                break
            peeked.append(packet)
            firsts.setdefault(packet.stream.index, packet)
        return firsts, peeked

    def _add(self, stream: AudioStream, first: Packet[AudioStream] | None) -> None:
        reason = misfit_of(stream, first, self._start_s, self._container.format.name)
        if reason is not None:
            name = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
            self._notes.append(
                f"{self._uri}: sound stream {stream.index} ({name}) does not fit the recording "
                f"({reason}); left out."
            )
            stream.discard = Discard.all
            return
        output = self._container.add_stream_from_template(stream)
        output.metadata.update({k: v for k, v in stream.metadata.items() if k == "language"})
        time_base = Fraction(stream.time_base or 1)
        start = round(self._start_s / time_base)
        self._tracks[stream.index] = _Track(output, start, time_base, unframing_of(stream))

    def _is_before(self, packet: Packet[AudioStream], limit_s: Fraction | None) -> bool:
        track, when = self._tracks.get(packet.stream.index), _decode_time(packet)
        if limit_s is None or track is None or when is None:
            return True
        return self._moved(when - track.start, track.time_base) * track.time_base < limit_s

    def _moved(self, time: int, time_base: Fraction) -> int:
        """Return ``time`` as it is in the recording, whose long gaps are closed up."""
        by_s = sum(by_s for at_s, by_s in self._gaps_s if time * time_base >= at_s)
        return time - round(by_s / time_base)

    def _write(self, packet: Packet[AudioStream]) -> None:
        track, dts = self._tracks.get(packet.stream.index), _decode_time(packet)
        if track is None or track.is_broken or dts is None:
            return
        lead = 0 if packet.pts is None else packet.pts - dts
        dts = self._moved(dts - track.start, track.time_base)
        pts = dts + lead
        if (track.last_dts is not None and dts <= track.last_dts) or pts < dts:
            track.skipped_count += 1
            return
        if dts < 0 and not self._takes_negative:
            return
        track.last_dts = dts
        packet.dts, packet.pts = dts, pts
        try:
            self._mux(track, packet)
        except (av.error.FFmpegError, OSError, ValueError) as exc:
            if isinstance(exc, OSError) and exc.errno in _DISK_ERRORS:
                raise
            track.is_broken = True
            self._notes.append(f"{self._uri}: the sound cannot be copied: {cause_of(exc)}.")

    def _mux(self, track: _Track, packet: Packet[AudioStream]) -> None:
        time_base = packet.time_base  # the filter empties the packet
        for part in track.unframing.filter(packet) if track.unframing else [packet]:
            part.time_base, part.stream = time_base, track.output
            self._container.mux_one(part)
            self.packet_count += 1


def _decode_time(packet: Packet[AudioStream]) -> int | None:
    return packet.pts if packet.dts is None else packet.dts
