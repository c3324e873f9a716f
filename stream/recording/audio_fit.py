"""Whether a container can hold a stream of sound, found out before the recording depends on it."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO

import av.error
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from maskstream.stream.codecs.encoding import open_recording
from maskstream.stream.sources.media import cause_of

_DESCRIBED_BY_PACKETS = frozenset({"ac3", "eac3"})
"""An mp4's header says of these what only their packets tell."""
_TRIAL_TIME_BASE = Fraction(1, 1000)
_HEADER_AT_S = 0.5
"""Well before an mp4's header is written, with its first fragment."""


def misfit_of(
    stream: AudioStream, first: Packet[AudioStream] | None, start_s: Fraction, container: str
) -> str | None:
    """Returns why ``container`` cannot hold ``stream``; None where it can.

    Args:
        stream: Of the file whose sound is to be copied.
        first: Its first packet, left as it is; None where it has none.
        start_s: The file's first timestamp.
        container: FFmpeg's name, ``mp4`` or ``matroska``.
    """
    if stream.codec_context is None:
        return "its codec is unknown"
    if first is None:
        return "it has no packets"
    if container == "mp4" and _is_described_by_packets(stream):
        when = first.pts if first.dts is None else first.dts
        if when is not None and when * first.time_base - start_s > _HEADER_AT_S:
            return "it begins too late for an mp4, an mkv could hold it"
    return _failure_of_trial(stream, first, container)


def unframing_of(stream: AudioStream) -> BitStreamFilterContext | None:
    """Returns what takes the broadcast headers off AAC, which files like ours must not have.

    FFmpeg does so by itself, but not for an mp4 that is written in fragments.
    """
    return BitStreamFilterContext("aac_adtstoasc", stream) if _is_framed(stream) else None


def _is_framed(stream: AudioStream) -> bool:
    context = stream.codec_context
    return context.codec.canonical_name == "aac" and not context.extradata


def _is_described_by_packets(stream: AudioStream) -> bool:
    name = stream.codec_context.codec.canonical_name
    return name in _DESCRIBED_BY_PACKETS or _is_framed(stream)


def _failure_of_trial(
    stream: AudioStream, first: Packet[AudioStream], container: str
) -> str | None:
    """Returns what goes wrong where the first packet is written to a file in memory."""
    sample = Packet(bytes(first))
    sample.pts = sample.dts = 0
    sample.is_keyframe = True
    sample.time_base = first.time_base
    try:
        with open_recording(BytesIO(), container, _TRIAL_TIME_BASE) as trial:
            output = trial.add_stream_from_template(stream)
            unframing = unframing_of(stream)
            for part in unframing.filter(sample) if unframing else [sample]:
                part.time_base, part.stream = first.time_base, output
                trial.mux_one(part)
        # Closed: an mp4's header, with all it needs to know, is written last.
    except (av.error.FFmpegError, ValueError) as exc:
        return cause_of(exc)
    return None
