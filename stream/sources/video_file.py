"""Frames out of a video file, through PyAV (FFmpeg's libraries).

The first frame is decoded on opening: only then size, orientation and colours are certain, and a
file that opens but holds nothing decodable is refused at once instead of in mid-run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from functools import partial
from typing import cast

import av.error
from av.codec.context import ThreadType
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc
from av.video.stream import VideoStream

from maskstream.errors import SourceError
from maskstream.stream.memory.frame import Planes
from maskstream.stream.memory.source_info import (
    DecodedFrame,
    SourceInfo,
    SourceProblem,
    resolve_matrix,
)
from maskstream.stream.pixels.geometry import Orientation, Placement, canvas_size, place
from maskstream.stream.sources.facts import (
    duration_s_of,
    frame_count_of,
    frame_rate_of,
    orientation_in,
    sample_aspect_of,
    time_base_of,
)
from maskstream.stream.sources.media import WANTED, cause_of, open_media, packets_of, start_of
from maskstream.stream.sources.picture import PictureConverter, color_range_of
from maskstream.stream.sources.stretches import shift_to_stretch, stretches_of
from maskstream.stream.sources.timeline import Timeline

_DEFAULT_RATE_HZ = Fraction(25)
_DEVICE_FORMATS = frozenset({"nv12", "p010le", "p016le", "nv16", "nv24"})
"""Of frames that were fetched from a device; decoders on the processor make none of these."""
_HELD_BACK_MAX = 64
"""More than any decoder holds back: one for each thread, and those that wait for their order."""
_HDR_TRANSFERS = frozenset({ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67})


class VideoFile:
    """A ``Source`` over the best video stream of a file."""

    def __init__(self, uri: str, *, threads: int, decoder: str | None = None) -> None:
        """Open ``uri`` and decode its first frame.

        Args:
            uri: The file.
            threads: For decoding, at least 1.
            decoder: Device that decodes, as FFmpeg names it; None for the processor, which also
                takes over where the device does not take the file.

        Raises:
            SourceError: It cannot be opened, or holds no frame that can be decoded.
        """
        self._uri = uri
        self._error: SourceProblem | None = None
        self._refused_by = ""
        try:
            self._begin(threads, decoder)
        except SourceError:
            if decoder is None:
                raise
            self._begin(threads, None)
        if decoder is not None and self.decoder is None:
            self._refused_by = decoder

    def _begin(self, threads: int, decoder: str | None) -> None:
        uri = self._uri
        self._failure: str | None = None
        self._undecodable: str | None = None
        self.decode_error_count = 0
        """Packets so far that could not be decoded, each of which is taken for a lost frame."""
        device = None if decoder is None else HWAccel(decoder, allow_software_fallback=True)
        self._container = open_media(uri, device)
        try:
            self._stream = _video_stream(self._container, uri)
            context = self._stream.codec_context
            context.thread_count = threads
            context.thread_type = ThreadType.AUTO
            self._stretches = stretches_of(self._container, self._stream)
            self._decoded = self._decode()
            self._first = self._first_frame()
            # FFmpeg falls back to the processor by itself, and tells by the kind of its frames.
            is_fetched = context.is_hwaccel and self._first.format.name in _DEVICE_FORMATS
            self.decoder = decoder if is_fetched else None
            """The device that decodes; None where the processor does."""
            self._describe(self._first, threads)
        except BaseException:
            self._container.close()
            raise

    @property
    def error(self) -> SourceProblem | None:
        """Why the frames ended early; None after a regular end and before any end."""
        return self._error

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, what came up while reading included."""
        count = self._damaged_count
        damaged = (f"{count} of the frames damaged, but shown",) if count else ()
        refused = (f"decoded by the processor, as {self._refused_by} does not take it",)
        lost_count = self.decode_error_count
        frames = "1 damaged frame" if lost_count == 1 else f"{lost_count} damaged frames"
        lost = (f"{frames} could not be decoded ({self._undecodable}) and left out",)
        found = (
            *self._stretches.warnings(self.info.start_s),
            *self._timeline.warnings(),
            *damaged,
            *(lost if lost_count else ()),
            *(refused if self._refused_by else ()),
        )
        return (*self.info.warnings, *(f"{self._uri}: {text}." for text in found))

    def frames(self) -> Iterator[DecodedFrame]:
        """Yields the frames in the order in which they are shown, once; ends at end of file."""
        count = 1
        yield self._delivered(self._first)
        for frame in self._decoded:
            count += 1
            yield self._delivered(frame)
        if self._failure is not None:
            at_s = float(self._timeline.end * self.info.time_base)
            self._error = SourceProblem(
                f"{self._uri}: damaged after frame {count}, at {at_s:.2f} s: {self._failure}; "
                "only the frames before it are delivered.",
                frame_count=count,
                at_s=at_s,
            )

    def close(self) -> None:
        """Release the file and its decoder. May be called twice."""
        self._decoded.close()
        self._container.close()

    def _decode(self) -> Generator[VideoFrame]:
        """Yield the frames of all packets; a packet that cannot be decoded costs its frame only."""
        is_drained = False
        try:
            for packet in packets_of(self._container, [self._stream]):
                if packet.size:
                    yield from self._decoded_of(cast("Packet[VideoStream]", packet))
                else:
                    is_drained = True
                    yield from self._held_back()
        except av.error.EOFError:
            pass
        except av.error.FFmpegError as exc:
            self._failure = cause_of(exc)
        if not is_drained:
            yield from self._held_back()

    def _decoded_of(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        shift_to_stretch(packet, self._stretches)
        try:
            return packet.decode()
        except av.error.FFmpegError as exc:
            self._note_undecodable(exc)
            return []

    def _held_back(self) -> Iterator[VideoFrame]:
        """Yield what the decoder still holds at the end of the file."""
        for _ in range(_HELD_BACK_MAX):
            try:
                yield from self._stream.codec_context.decode(None)
            except av.error.EOFError:
                return
            except av.error.FFmpegError as exc:
                # The frames behind the damaged one come when asked again.
                self._note_undecodable(exc)
            else:
                return

    def _note_undecodable(self, error: av.error.FFmpegError) -> None:
        self.decode_error_count += 1
        self._undecodable = cause_of(error)

    def _first_frame(self) -> VideoFrame:
        frame = next(self._decoded, None)
        if frame is None:
            found = self._failure or self._undecodable
            cause = f" ({found})" if found else ""
            raise SourceError(f"{self._uri}: not one frame can be decoded{cause}; {WANTED}.")
        return frame

    def _describe(self, first: VideoFrame, threads: int) -> None:
        """Fix what holds for the whole run, by the first frame."""
        stream, container = self._stream, self._container
        notes: list[str] = []
        time_base = time_base_of(stream)
        rate_hz = frame_rate_of(stream, first, time_base)
        if rate_hz is None:
            notes.append("states no frame rate; frames without a timestamp are 1/25 s apart")
        aspect = sample_aspect_of(stream, notes)
        orientation = orientation_in(first, notes)
        self._canvas = canvas_size(first.width, first.height, aspect, orientation)
        if stream.codec_context.color_trc in _HDR_TRANSFERS:
            notes.append("high dynamic range, which is not mapped; colours will look pale")
        if first.interlaced_frame:
            notes.append("interlaced; moving edges are combed, so deinterlace it first (bwdif)")
        start_s = start_of(container)
        if start_s is None:  # a file so short that FFmpeg could not tell
            start_s = (first.pts or 0) * time_base
        self.info = SourceInfo(
            uri=self._uri,
            kind="file",
            width=self._canvas[0],
            height=self._canvas[1],
            frame_rate=None if rate_hz is None else float(rate_hz),
            frame_count=frame_count_of(stream, container, rate_hz),
            duration_s=duration_s_of(stream, container),
            rotation=orientation.degrees,
            sample_aspect=aspect,
            color_range=color_range_of(first),
            color_matrix=resolve_matrix(first.colorspace, first.height),
            codec=stream.codec_context.codec.canonical_name,
            time_base=time_base,
            has_audio=bool(container.streams.audio),
            start_s=start_s,
            warnings=tuple(f"{self._uri}: {note}." for note in notes),
        )
        step = 1 / ((rate_hz or _DEFAULT_RATE_HZ) * time_base)
        self._timeline = Timeline(start=round(start_s / time_base), step=step)
        self._clock = _clock_of(container, stream, first)
        self._converter = PictureConverter(self.info.color_range, self.info.color_matrix, threads)
        self._epoch = 0
        self._damaged_count = 0
        self._shape = _shape_of(first)
        self._fit(first)

    def _fit(self, frame: VideoFrame) -> None:
        self._orientation = orientation_in(frame, [])
        self._placement = place(
            frame.width, frame.height, self.info.sample_aspect, self._orientation, self._canvas
        )

    def _delivered(self, frame: VideoFrame) -> DecodedFrame:
        shape = _shape_of(frame)
        if shape != self._shape:
            self._shape = shape
            self._epoch += 1
            self._fit(frame)
        self._damaged_count += frame.is_corrupt
        return DecodedFrame(
            pts=self._timeline.next(self._clock(frame)),
            time_base=self.info.time_base,
            epoch=self._epoch,
            width=frame.width,
            height=frame.height,
            duration=frame.duration or None,
            writer=partial(self._write, frame, self._orientation, self._placement),
        )

    def _write(
        self, frame: VideoFrame, orientation: Orientation, placement: Placement, planes: Planes
    ) -> None:
        try:
            self._converter.write(frame, orientation, placement, planes)
        except av.error.FFmpegError as exc:
            raise SourceError(
                f"{self._uri}: pictures of format {frame.format.name} cannot be converted "
                f"({cause_of(exc)}); convert the file first."
            ) from exc


def _video_stream(container: InputContainer, uri: str) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        holds = "only sound" if container.streams.audio else "no pictures"
        raise SourceError(f"{uri}: holds {holds}; {WANTED}.")
    if stream.disposition & Disposition.attached_pic:
        raise SourceError(f"{uri}: holds only a cover picture; {WANTED}.")
    if stream.codec_context is None:
        raise SourceError(f"{uri}: its video has no known codec; {WANTED}.")
    return stream


def _shape_of(frame: VideoFrame) -> tuple[int, int, int]:
    return frame.width, frame.height, frame.rotation


def _clock_of(
    container: InputContainer, stream: VideoStream, first: VideoFrame
) -> Callable[[VideoFrame], int | None]:
    """Returns what reads a frame's timestamp, in the stream's time base."""
    if container.format.name == "avi" and first.dts is not None:
        return _AviClock(first.dts, stream.start_time or 0, stream.codec_context.reorder_depth)
    return lambda frame: frame.dts if frame.pts is None else frame.pts


class _AviClock:
    """AVI counts packets and knows no presentation times; what FFmpeg makes up goes backwards.

    A frame's dts is that of the packet which let it out, so it increases; it is late by as many
    packets as the decoder holds back to put frames in order.
    """

    def __init__(self, first_dts: int, start: int, reorder_depth: int) -> None:
        self._delay = min(first_dts - start, reorder_depth)
        self._last = first_dts

    def __call__(self, frame: VideoFrame) -> int:
        # The frames let out at the end of the file have no packet of their own.
        dts = self._last + (frame.duration or 1) if frame.dts is None else frame.dts
        self._last = dts
        return dts - self._delay
