"""Pictures as a video: a folder, a pattern or a numbered name, shown one after the other.

``frames/``, ``'frames/*.jpg'`` or ``frames/f_%04d.jpg``, each with ``?fps=10`` if wanted.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path

import av.error
from av.video.frame import VideoFrame

from maskstream.errors import ConfigError, SourceError
from maskstream.stream.memory.frame import Planes
from maskstream.stream.memory.source_info import (
    DecodedFrame,
    SourceInfo,
    SourceProblem,
    resolve_matrix,
)
from maskstream.stream.pixels.geometry import Orientation, Placement, canvas_size, place
from maskstream.stream.sources.facts import orientation_in
from maskstream.stream.sources.listing import VIDEO_SUFFIXES, files_in, natural_key
from maskstream.stream.sources.media import cause_of, open_media
from maskstream.stream.sources.picture import PictureConverter, color_range_of

PICTURE_SUFFIXES = frozenset({".bmp", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
DEFAULT_RATE_HZ = 25
_RATE = re.compile(r"(?P<name>.+)\?fps=(?P<rate>[^?&]*)")
_RATE_MAX_HZ = 1000
_NUMBER = re.compile(r"%(0\d+)?d")


def pictures_of(uri: str) -> list[Path]:
    """Return the pictures that ``uri`` stands for, in their order; none where it means no such.

    A folder or a pattern with videos in it stands for those.
    """
    match = _RATE.fullmatch(uri)
    name = match["name"] if match else uri
    path = Path(name)
    if path.is_dir():
        found = files_in(path)
    elif _NUMBER.search(path.name) and not path.exists():
        wanted = re.compile(r"\d+".join(re.escape(part) for part in _NUMBER.split(path.name)[::2]))
        folder = path.parent
        found = (
            [one for one in files_in(folder) if wanted.fullmatch(one.name)]
            if folder.is_dir()
            else []
        )
    elif glob.has_magic(name) and not path.exists():
        found = [Path(one) for one in glob.glob(name, recursive=True)]  # noqa: PTH207
    else:
        return []
    if any(one.suffix.lower() in VIDEO_SUFFIXES for one in found):
        return []
    pictures = [one for one in found if one.suffix.lower() in PICTURE_SUFFIXES and one.is_file()]
    return sorted(pictures, key=natural_key)


def rate_hz_of(uri: str) -> Fraction:
    """Return how many pictures a second ``uri`` asks for.

    Raises:
        ConfigError: It is no number, or out of range.
    """
    match = _RATE.fullmatch(uri)
    if match is None:
        return Fraction(DEFAULT_RATE_HZ)
    try:
        rate_hz = Fraction(match["rate"])
    except (ValueError, ZeroDivisionError):
        rate_hz = Fraction(0)
    if not 0 < rate_hz <= _RATE_MAX_HZ:
        raise ConfigError(
            f"{uri}: fps={match['rate']} is impossible; give more than 0, at most {_RATE_MAX_HZ}."
        )
    return rate_hz


class PictureFiles:
    """A ``Source`` over pictures; the first one decides the canvas, others are fitted into it."""

    def __init__(self, uri: str, *, threads: int) -> None:
        """Find the pictures and decode the first one.

        Args:
            uri: As the user gave it.
            threads: Of the conversion, at least 1.

        Raises:
            SourceError: None can be decoded.
            ConfigError: The rate is impossible.
        """
        rate_hz = rate_hz_of(uri)
        self._uri = uri
        self._paths = pictures_of(uri)
        self.decode_error_count = 0
        """Pictures so far that could not be decoded."""
        self._first_bad: str | None = None
        first = next(self._decoded(), None)
        if first is None:
            raise SourceError(f"{uri}: none of {len(self._paths)} pictures can be decoded.")
        self.decode_error_count = 0
        frame = first[1]
        upright = orientation_in(frame, [])
        self._canvas = canvas_size(frame.width, frame.height, Fraction(1), upright)
        said = f"{len(self._paths)} pictures, shown at {float(rate_hz):g} a second"
        self.info = SourceInfo(
            uri=uri,
            kind="file",
            width=self._canvas[0],
            height=self._canvas[1],
            frame_rate=float(rate_hz),
            frame_count=len(self._paths),
            duration_s=float(len(self._paths) / rate_hz),
            rotation=upright.degrees,
            sample_aspect=Fraction(1),
            color_range=color_range_of(frame),
            color_matrix=resolve_matrix(frame.colorspace, frame.height),
            codec=first[0].suffix.lower().lstrip("."),
            time_base=1 / rate_hz,
            has_audio=False,
            warnings=(f"{uri}: {said}.",),
        )
        self._converter = PictureConverter(self.info.color_range, self.info.color_matrix, threads)

    @property
    def error(self) -> SourceProblem | None:
        """Always None: a picture that cannot be decoded is counted, and the next one is read."""
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, what came up while reading included."""
        if not self.decode_error_count:
            return self.info.warnings
        text = f"{self.decode_error_count} pictures cannot be decoded, the first is"
        return (*self.info.warnings, f"{self._uri}: {text} {self._first_bad}.")

    def frames(self) -> Iterator[DecodedFrame]:
        """Yield the pictures as frames, once."""
        epoch, shape = -1, (0, 0, 0)
        for number, (_, frame) in enumerate(self._decoded()):
            if (frame.width, frame.height, frame.rotation) != shape:
                shape = (frame.width, frame.height, frame.rotation)
                epoch += 1
            upright = orientation_in(frame, [])
            placement = place(frame.width, frame.height, Fraction(1), upright, self._canvas)
            yield DecodedFrame(
                pts=number + self.decode_error_count,
                time_base=self.info.time_base,
                epoch=epoch,
                width=frame.width,
                height=frame.height,
                duration=1,
                writer=partial(self._write, frame, upright, placement),
            )

    def close(self) -> None:
        """Do nothing: no picture stays open."""

    def _decoded(self) -> Iterator[tuple[Path, VideoFrame]]:
        for path in self._paths:
            try:
                with closing(open_media(str(path))) as container:
                    frame = next(container.decode(video=0), None)
            except (SourceError, av.error.FFmpegError, IndexError):
                frame = None
            if frame is None:
                self._first_bad = self._first_bad or str(path)
                self.decode_error_count += 1
                continue
            yield path, frame

    def _write(
        self, frame: VideoFrame, upright: Orientation, placement: Placement, planes: Planes
    ) -> None:
        try:
            self._converter.write(frame, upright, placement, planes)
        except av.error.FFmpegError as exc:
            raise SourceError(
                f"{self._uri}: pictures of format {frame.format.name} cannot be converted "
                f"({cause_of(exc)}); convert them first."
            ) from exc
