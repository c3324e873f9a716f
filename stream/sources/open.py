"""What the user typed as SOURCE: which sources it means, and opening one.

A source is a video file, ``synthetic:numbered?...``, a camera or an address on the network. Folders
and patterns stand for the files in them and are resolved by ``expand_sources``.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from maskstream.errors import SourceError
from maskstream.stream.memory.source_info import DecodedFrame, Source, SourceInfo, SourceProblem
from maskstream.stream.options import LiveOptions
from maskstream.stream.sources.listing import VIDEO_SUFFIXES, files_in, natural_key
from maskstream.stream.sources.live import LiveSource
from maskstream.stream.sources.live_open import check_live, is_live
from maskstream.stream.sources.live_start import probe
from maskstream.stream.sources.picture_files import PictureFiles, pictures_of, rate_hz_of
from maskstream.stream.sources.synthetic import SCHEME, SyntheticSource
from maskstream.stream.sources.video_file import VideoFile

__all__ = [
    "VIDEO_SUFFIXES",
    "DecodedFrame",
    "Source",
    "SourceInfo",
    "SourceProblem",
    "expand_sources",
    "open_source",
]

_LISTED_MAX = 5


def open_source(uri: str, *, threads: int, decoder: str | None = None) -> Source:
    """Returns the opened source ``uri``, which the caller closes.

    Args:
        uri: A video file, ``synthetic:...``, a camera or an address; the last two are asked at
            once for what they look like.
        threads: For decoding, at least 1.
        decoder: Device that decodes a file; None for the processor.

    Raises:
        SourceError: It cannot be opened; the text names it and the cause.
    """
    if uri.startswith(SCHEME):
        return SyntheticSource(uri)
    if is_live(uri):
        options = LiveOptions()
        return LiveSource(uri, probe(uri, options), options=options, threads=threads)
    if pictures_of(uri):
        return PictureFiles(uri, threads=threads)
    return VideoFile(uri, threads=threads, decoder=decoder)


def expand_sources(arguments: Iterable[str], *, left_out: list[str] | None = None) -> list[str]:
    """Returns one source a line of the run: folders and patterns become the videos they hold.

    Args:
        arguments: As typed: files, folders, patterns with ``*``, ``?`` or ``[``, ``synthetic:``,
            cameras, addresses.
        left_out: Takes one line for each folder or pattern that also holds other files.

    Raises:
        SourceError: A folder or a pattern holds no video, or nothing was given.
        ConfigError: A live source is of no kind that can be read, or its options make no sense.
    """
    sources: list[str] = []
    for argument in arguments:
        path = Path(argument)
        if argument.startswith(SCHEME):
            sources.append(argument)
        elif is_live(argument):
            check_live(argument)
            sources.append(argument)
        elif pictures_of(argument):
            rate_hz_of(argument)
            sources.append(argument)
        elif path.is_dir():
            sources += _videos_of(argument, files_in(path), "folder", left_out)
        elif glob.has_magic(argument) and not path.exists():
            found = [Path(name) for name in glob.glob(argument, recursive=True)]  # noqa: PTH207
            sources += _videos_of(argument, found, "pattern", left_out)
        else:
            sources.append(argument)  # missing or not: opening it says so best
    if not sources:
        raise SourceError(
            "source: none was given; give a video file, a folder of videos, a camera such as 0 or "
            "an address such as rtsp://HOST/PATH."
        )
    return sources


def _videos_of(
    argument: str, paths: list[Path], kind: str, left_out: list[str] | None
) -> list[str]:
    files = sorted((path for path in paths if path.is_file()), key=natural_key)
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    others = [path.name for path in files if path.suffix.lower() not in VIDEO_SUFFIXES]
    if not videos:
        holds = f"{len(others)} other files ({_some(others)})" if others else "no file"
        raise SourceError(
            f"{argument}: a {kind} with no video but {holds}; give one with files such as "
            ".mp4, .mkv, .mov, .avi or .webm."
        )
    if others and left_out is not None:
        left_out.append(
            f"{argument}: left out {len(others)} files that are no videos: {_some(others)}."
        )
    return [str(path) for path in videos]


def _some(names: list[str]) -> str:
    listed = ", ".join(names[:_LISTED_MAX])
    return f"{listed}, ..." if len(names) > _LISTED_MAX else listed
