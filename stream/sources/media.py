"""Opening media files so that whatever is wrong with them is said in one line.

FFmpeg's log is off in PyAV unless asked for, and it has to stay off while decoders run: a decoder's
worker thread that logs waits for Python's lock, and closing the decoder waits for that thread
with the lock in hand. So it is listened to only when a file cannot be opened, to learn why: that
file is opened once more, which starts no thread.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import av.error
import av.logging
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from maskstream.errors import SourceError

WANTED = "give a video file such as .mp4, .mkv, .mov, .avi or .webm"
_TEXT_FORMATS = frozenset({"tty"})
"""FFmpeg plays any .txt or .nfo as an animated terminal."""
_LOCAL_PROTOCOLS = "file,crypto,data"
"""What a local playlist may refer to: nothing that goes out to the network."""
_SNIFF_BYTES = 4096


def open_media(uri: str, device: HWAccel | None = None) -> InputContainer:
    """Returns the opened file ``uri``, which the caller closes.

    Args:
        uri: The file.
        device: That is to decode; None for the processor.

    Raises:
        SourceError: There is no such file, it may not be read, or it is no media file; the text
            names the file and the cause.
    """
    path = Path(uri)
    _check_file(uri, path)
    try:
        container = _open(path, device)
    except PermissionError as exc:
        raise _no_permission(uri) from exc
    except (av.error.FFmpegError, ValueError) as exc:
        raise SourceError(_unreadable(uri, path, exc)) from exc
    if container.format.name in _TEXT_FORMATS:
        container.close()
        raise SourceError(f"{uri}: a text file, not a video; {WANTED}.")
    return container


def cause_of(error: Exception) -> str:
    """Returns FFmpeg's words for an error, without numbers and file names."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def packets_of(container: InputContainer, streams: Sequence[Stream]) -> Iterator[Packet[Stream]]:
    """Yields the packets of ``streams`` up to the end of the file, then an empty one of each.

    Raises:
        FFmpegError: The file cannot be read any further.
    """
    try:
        yield from container.demux(list(streams))
    except IndexError:
        # A stream that shows up late, as in a damaged FLV, breaks PyAV's last loop, which hands
        # out the empty packets; ours came before it.
        return


def start_of(container: InputContainer) -> Fraction | None:
    """Returns the earliest timestamp of the file's video and audio, in seconds, if it tells.

    All streams are moved by the same amount, so that they stay together. Exact, unlike the
    container's own figure, which is rounded to microseconds.
    """
    starts = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.start_time is not None
        and stream.time_base is not None
        and not stream.disposition & Disposition.attached_pic
    ]
    return min(starts, default=None)


def _open(path: Path, device: HWAccel | None = None) -> InputContainer:
    return av.open(
        f"file:{path}",  # a bare "a:b.mp4" would be taken for a protocol
        mode="r",
        container_options={"protocol_whitelist": _LOCAL_PROTOCOLS},
        metadata_errors="replace",
        hwaccel=device,
    )


def _check_file(uri: str, path: Path) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise SourceError(
            f"{uri}: no such file; give an existing video file, a folder of videos or "
            "synthetic:numbered."
        ) from exc
    except PermissionError as exc:
        raise _no_permission(uri) from exc
    except (OSError, ValueError) as exc:
        raise SourceError(f"{uri}: {cause_of(exc)}; {WANTED}.") from exc
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{uri}: a folder; give one video file of it.")
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{uri}: a device or pipe, not a file; {WANTED}.")
    if status.st_size == 0:
        raise SourceError(f"{uri}: an empty file of 0 bytes; {WANTED}.")


def _no_permission(uri: str) -> SourceError:
    return SourceError(f"{uri}: no permission to read it; allow it with chmod +r.")


def _unreadable(uri: str, path: Path, error: Exception) -> str:
    if _is_text(path):
        return f"{uri}: a text file, not a video; {WANTED}."
    said = _said_on_opening(path)
    return f"{uri}: cannot be read as a video: {cause_of(error)}{said}; {WANTED}."


def _said_on_opening(path: Path) -> str:
    """Returns FFmpeg's first message about a file that it does not open, in brackets."""
    repeats = av.logging.get_skip_repeated()
    av.logging.set_skip_repeated(False)  # else a second broken file says nothing
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=False) as log, suppress(av.error.FFmpegError, ValueError):
            _open(path).close()
    finally:
        av.logging.set_level(None)
        av.logging.set_skip_repeated(repeats)
    # The first message is the root of the matter, the others follow from it.
    return f" ({log[0][2].strip()})" if log else ""


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_SNIFF_BYTES)
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as exc:
        return exc.start > len(head) - 4  # only a character that the end of the head cuts
    return True
