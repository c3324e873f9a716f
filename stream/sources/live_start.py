"""What live sources look like before a run begins: its pools are made to their measure.

A source that is not there yet does not keep the others waiting: the run starts without it, with a
canvas of a usual size. Where there is no other, the run waits for it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from fractions import Fraction

import av
import av.error
from av.video.frame import VideoFrame

from maskstream.stream.addresses.redact import shown
from maskstream.stream.memory.source_info import RANGE_LIMITED, SourceInfo, resolve_matrix
from maskstream.stream.options import LiveOptions
from maskstream.stream.pixels.geometry import UPRIGHT, canvas_size
from maskstream.stream.processes.backoff import Backoff
from maskstream.stream.sources.facts import frame_rate_of, sample_aspect_of, time_base_of
from maskstream.stream.sources.live_clock import LIVE_TIME_BASE
from maskstream.stream.sources.live_open import Link, Patience, open_link
from maskstream.stream.sources.live_packets import Undecodable, packets_of
from maskstream.stream.sources.picture import color_range_of
from maskstream.stream.sources.trouble import ANSWERS_NO, Trouble

ABSENT_SIZE = (1280, 720)
"""The canvas of a source that is not there when the run starts, in pixels."""
_LONGEST_S = 2.0
_WAKE_S = 0.2
_SILENT_S = 1.0
"""A source that was silent for so long is waited for longer when it is asked again."""


def probe(uri: str, options: LiveOptions, patience: Patience | None = None) -> SourceInfo:
    """Returns what ``uri`` looks like now, by its first frame. Blocks for seconds at most.

    Args:
        uri: As the user gave it.
        options: How to read it.
        patience: Learns how long the source may be silent; None where it is asked once only.

    Raises:
        Trouble: It is not there, or not to be read.
        ConfigError: It never can be read.
    """
    patience = patience or Patience()
    was_cut = patience.is_cut
    try:
        return _look(uri, options, patience)
    except Trouble:
        if patience.is_cut == was_cut:
            raise
        return _look(uri, options, patience)


def _look(uri: str, options: LiveOptions, patience: Patience) -> SourceInfo:
    with closing(open_link(uri, options, threads=1, patience=patience)) as link:
        undecodable = Undecodable()
        for packet in packets_of(link, lambda: False, patience):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                frames = []  # joined midway: it starts with the next key picture
            if frames:
                return _describe(uri, link, frames[0])
            undecodable.check(packet, uri)
    raise Trouble("ended", uri, "the stream ended before its first picture")


def find_live(
    uris: Sequence[str], options: LiveOptions, *, has_others: bool, on_note: Callable[[str], None]
) -> list[SourceInfo]:
    """Returns what each of ``uris`` looks like; waits until at least one source is there.

    All are asked at once. To be called from the main thread, which an interruption then reaches
    whatever a connection is waiting for.

    Args:
        uris: Live sources.
        options: How to read them.
        has_others: Whether the run has sources that are there for sure.
        on_note: Called with a line for each that is not there, and again if the reason changes.

    Raises:
        Trouble: One can be reached and refuses, which waiting does not mend.
        ConfigError: One can never be read.
    """
    answers: queue.SimpleQueue[tuple[int, SourceInfo | Exception]] = queue.SimpleQueue()
    over = threading.Event()
    for index, uri in enumerate(uris):
        arguments = (index, uri, options, answers, over)
        threading.Thread(target=_ask, args=arguments, name="probe", daemon=True).start()
    found: dict[int, SourceInfo] = {}
    absent: dict[int, Trouble] = {}
    try:
        while len(found) < len(uris):
            if len(found) + len(absent) == len(uris) and (found or has_others):
                break
            index, answer = _next(answers)
            if isinstance(answer, SourceInfo):
                found[index] = answer
                absent.pop(index, None)
                continue
            if not isinstance(answer, Trouble) or answer.kind in ANSWERS_NO:
                raise answer
            if index not in absent or absent[index].found != answer.found:
                on_note(f"{str(answer).rstrip('.')}; waiting for it.")
            absent[index] = answer
    finally:
        over.set()
    for index in absent:
        width, height = ABSENT_SIZE
        on_note(
            f"{shown(uris[index])}: the run starts without it; its pictures will be fitted into "
            f"{width}x{height} when it comes."
        )
    return [found.get(index) or _absent(uri) for index, uri in enumerate(uris)]


def _next(
    answers: queue.SimpleQueue[tuple[int, SourceInfo | Exception]],
) -> tuple[int, SourceInfo | Exception]:
    while True:
        try:
            return answers.get(timeout=_WAKE_S)
        except queue.Empty:
            continue


def _ask(
    index: int,
    uri: str,
    options: LiveOptions,
    answers: queue.SimpleQueue[tuple[int, SourceInfo | Exception]],
    over: threading.Event,
) -> None:
    """Ask again and again until there is an answer that lasts, or nobody wants one."""
    backoff = Backoff()
    patience = Patience()
    while not over.is_set():
        try:
            answers.put((index, probe(uri, options, patience)))
            return
        except Trouble as exc:
            answers.put((index, exc))
            if exc.kind in ANSWERS_NO:
                return
            if exc.kind == "silent":
                patience.grow(_SILENT_S)
        except Exception as exc:  # noqa: BLE001 - carried to the main thread
            answers.put((index, exc))
            return
        over.wait(backoff.next_s(_LONGEST_S))


def _describe(uri: str, link: Link, first: VideoFrame) -> SourceInfo:
    notes: list[str] = []
    aspect = sample_aspect_of(link.stream, notes)
    width, height = canvas_size(first.width, first.height, aspect, UPRIGHT)
    rate_hz = None
    if not link.is_untimed:
        rate_hz = frame_rate_of(link.stream, first, time_base_of(link.stream))
    duration_s = _duration_s_of(uri, link)
    return SourceInfo(
        uri=shown(uri),
        kind="live" if duration_s is None else "file",
        width=width,
        height=height,
        frame_rate=None if rate_hz is None else float(rate_hz),
        frame_count=None,
        duration_s=duration_s,
        rotation=0,
        sample_aspect=aspect,
        color_range=color_range_of(first),
        color_matrix=resolve_matrix(first.colorspace, first.height),
        codec=link.stream.codec_context.codec.canonical_name,
        time_base=LIVE_TIME_BASE,
        has_audio=False,
        warnings=(*link.notes, *(f"{shown(uri)}: {note}." for note in notes)),
    )


def _duration_s_of(uri: str, link: Link) -> float | None:
    """Returns the length of a recording on a web server; None for what has no end."""
    duration = link.container.duration
    is_recording = uri.lower().startswith("http") and not link.is_untimed
    if not is_recording or duration is None or duration <= 0:
        return None
    return duration / av.time_base


def _absent(uri: str) -> SourceInfo:
    width, height = ABSENT_SIZE
    return SourceInfo(
        uri=shown(uri),
        kind="live",
        width=width,
        height=height,
        frame_rate=None,
        frame_count=None,
        duration_s=None,
        rotation=0,
        sample_aspect=Fraction(1),
        color_range=RANGE_LIMITED,
        color_matrix=resolve_matrix(0, height),
        codec="",
        time_base=LIVE_TIME_BASE,
        has_audio=False,
    )
