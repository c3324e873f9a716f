"""Opening a live source once: a stream on the network, or a camera on this machine.

FFmpeg waits for ever unless it is told otherwise, and each protocol has another option for it;
so the time is limited from outside as well, for opening and for each read.
"""

from __future__ import annotations

import difflib
import re
import time
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import av
import av.error
from av.codec.context import ThreadType
from av.container import InputContainer
from av.video.stream import VideoStream

from maskstream.errors import ConfigError
from maskstream.stream.addresses.redact import Address, resolve, shown
from maskstream.stream.arguments import RtspTransport
from maskstream.stream.options import LiveOptions
from maskstream.stream.sources import camera
from maskstream.stream.sources.http_pictures import Pictures, open_pictures
from maskstream.stream.sources.trouble import Trouble, lost, trouble_of

_SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SEGMENTED = ("hls", "dash")
_READ_S = 1.0
_HTTP_READ_S = 10.0
"""A playlist's next segment may be that far off."""
_OPEN_S = 5.0
_DESCRIPTION_SUFFIX = ".sdp"
_ONE_PICTURE = ("jpeg_pipe", "mjpeg", "image2")
"""FFmpeg's names for an address that gives a picture and no stream."""
_PICTURES_BUFFER_BYTES = 4096
"""Small: FFmpeg fills its buffer before it gives anything on."""
_PATIENCE_MAX_S = 40.0
"""Twice what cameras with the longest spacing of key pictures need."""
_PATIENCE_GROWTH = 3.0


@dataclass(slots=True)
class Patience:
    """How long a source may be silent, learned from one connection to the next.

    A server may answer and then send nothing until its next key picture, 20 s later; a camera may
    send a picture every 5 s. Both look like a lost source to one who waits for 1 s, so every
    connection that was opened and stayed silent makes the next one wait for longer.
    """

    needed_s: float = 0.0
    """At least; 0 where the usual time is enough."""

    is_cut: bool = False
    """Whether the source's JPEGs are to be cut apart here, as FFmpeg stumbles over their parts."""

    def grow(self, waited_s: float) -> None:
        """Wait for longer next time, as nothing came within ``waited_s``."""
        self.needed_s = min(_PATIENCE_MAX_S, _PATIENCE_GROWTH * max(waited_s, self.needed_s))

    def learn(self, longest_gap_s: float) -> None:
        """Wait for as long as a source needs whose packets were ``longest_gap_s`` apart."""
        self.needed_s = min(_PATIENCE_MAX_S, _PATIENCE_GROWTH * longest_gap_s)


@dataclass(frozen=True, slots=True)
class Link:
    """An open connection to a live source; whoever opened it closes it."""

    uri: str
    """As the user gave it."""
    container: InputContainer
    stream: VideoStream
    address: Address
    read_timeout_s: float
    device: str | None = None
    """Where to find a camera again; None for a stream."""
    notes: tuple[str, ...] = ()
    """What the source was asked for and what it gives, one line each."""
    is_untimed: bool = False
    """Whether its times are made up: each frame belongs to the moment of its arrival."""
    pictures: Pictures | None = None
    """Where the container reads from, if not from the address itself."""

    @property
    def is_segmented(self) -> bool:
        """Whether it comes as a list of short files, seconds of video at a time."""
        return self.container.format.name in _SEGMENTED

    def close(self) -> None:
        """Close the connection."""
        self.container.close()
        if self.pictures is not None:
            self.pictures.close()


def is_live(uri: str) -> bool:
    """Whether ``uri`` names a camera or an address."""
    return camera.is_camera(uri) or _SCHEME.match(uri) is not None or is_description(uri)


def is_description(uri: str) -> bool:
    """Whether ``uri`` is a file that describes a stream of RTP, as senders of it write them."""
    return uri.lower().endswith(_DESCRIPTION_SUFFIX) and _SCHEME.match(uri) is None


def check_live(uri: str) -> None:
    """Check what can be checked without opening anything.

    Raises:
        ConfigError: No such kind of stream, an unset variable, or camera options that make no
            sense.
    """
    if camera.is_camera(uri):
        camera.parse_camera(uri)
        return
    if is_description(uri):
        return
    match = _SCHEME.match(uri)
    scheme = match[1].lower() if match else ""
    if scheme not in _SCHEMES:
        near = difflib.get_close_matches(scheme, _SCHEMES, n=2, cutoff=0.7)
        known = f"use one of {', '.join(_SCHEMES)}, a camera such as /dev/video0, or a file."
        wanted = f"did you mean {' or '.join(f'{name}://' for name in near)}?" if near else known
        raise ConfigError(f"{shown(uri)}: no stream of kind {scheme!r} can be read; {wanted}")
    try:
        parts = urlsplit(resolve(uri).opened)
        # Packets may come to any of this machine's addresses: udp://:5000.
        is_whole = bool(parts.hostname) or scheme in ("udp", "rtp")
        is_whole = is_whole and parts.port != 0
    except ConfigError:
        raise
    except ValueError:  # a port that is no number, or too large
        is_whole = False
    if not is_whole:
        raise ConfigError(f"{shown(uri)}: no host, or no port; write {scheme}://HOST:PORT/PATH.")


def open_link(
    uri: str,
    options: LiveOptions,
    *,
    threads: int,
    device: str | None = None,
    patience: Patience | None = None,
) -> Link:
    """Returns the connection to ``uri``, which the caller closes. Blocks for seconds at most.

    Args:
        uri: As the user gave it.
        options: How to read it.
        threads: For decoding.
        device: ``Link.device`` of the connection before, where there was one.
        patience: What earlier connections taught about the source's silences.

    Raises:
        Trouble: It cannot be opened now.
        ConfigError: It never can.
    """
    if camera.is_camera(uri):
        opened = camera.open_camera(uri, device)
        link = Link(
            uri, opened.container, opened.stream, Address(uri, ()), options.timeout_s or _READ_S,
            device=opened.device, notes=opened.notes,
        )  # fmt: skip
    else:
        link = _open_address(uri, options, patience or Patience())
    context = link.stream.codec_context
    context.thread_count = threads
    # Threads on frames would each hold one back; slices of one frame do not. The decoder's own
    # flag for low delay gains nothing beyond that, and puts frames of streams with B-frames amiss.
    context.thread_type = ThreadType.SLICE
    return link


def _open_address(uri: str, options: LiveOptions, patience: Patience) -> Link:
    # What a description names is told by the file's name: it may hold several addresses.
    address = Address(f"rtp://{uri}", ()) if is_description(uri) else resolve(uri)
    scheme = urlsplit(address.opened).scheme.lower()
    opened = uri if is_description(uri) else address.opened
    default_s = _HTTP_READ_S if scheme.startswith("http") else _READ_S
    read_s = options.timeout_s or default_s
    open_s = max(_OPEN_S, default_s) if options.timeout_s is None else 2 * options.timeout_s
    if options.timeout_s is None:
        read_s = max(read_s, patience.needed_s)
        open_s = max(open_s, patience.needed_s)
    if patience.is_cut:
        link = _open_pictures(uri, address, read_s)
        if link is not None:
            return link
    begun_s = time.monotonic()
    try:
        container = av.open(
            opened,
            options=_protocol_options(scheme, options.rtsp_transport, open_s),
            timeout=(open_s, read_s),
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, ValueError) as exc:
        waited_s = time.monotonic() - begun_s
        trouble = trouble_of(exc, uri, address, waited_s=waited_s, timeout_s=open_s)
        is_odd = trouble.kind in ("no_video", "broken") and scheme.startswith("http")
        link = _open_pictures(uri, address, read_s) if is_odd else None
        if link is None:
            raise trouble from None  # FFmpeg's own names the address with its password
        return link
    if container.format.name in _ONE_PICTURE and scheme.startswith("http"):
        link = _open_pictures(uri, address, read_s)
        if link is not None:
            container.close()
            return link
    try:
        return Link(uri, container, _video_of(container, uri), address, read_s)
    except BaseException:
        container.close()
        raise


def _open_pictures(uri: str, address: Address, read_s: float) -> Link | None:
    """Return the JPEGs that come from an address, cut apart by their markers; None for others."""
    try:
        pictures = open_pictures(address.opened, read_s)
    except (OSError, ValueError):
        return None  # what FFmpeg said of it is told
    if pictures is None:
        return None
    try:
        container = cast(
            "InputContainer",
            av.open(
                pictures,
                format="mjpeg",
                buffer_size=_PICTURES_BUFFER_BYTES,
                options={"probesize": "32", "analyzeduration": "0", "fflags": "nobuffer"},
            ),
        )
    except (av.error.FFmpegError, OSError) as exc:
        pictures.close()
        raise lost(exc, uri, address, read_s) from None
    return Link(
        uri, container, _video_of(container, uri), address, read_s, is_untimed=True,
        pictures=pictures,
    )  # fmt: skip


def _protocol_options(scheme: str, transport: RtspTransport, open_s: float) -> dict[str, str]:
    limit_us = str(round(open_s * 1e6))
    if scheme.startswith("rtsp"):
        # What the server describes is enough: looking at a second of video would cost that second.
        return {
            "timeout": limit_us,
            "rtsp_transport": transport,
            "fflags": "nobuffer",
            "analyzeduration": "0",
            "probesize": "32",
        }
    # Without nobuffer: it throws away what was looked at, which may be all of a short recording.
    looking = {"rw_timeout": limit_us, "analyzeduration": "1000000", "probesize": "1000000"}
    if scheme.startswith("rtmp"):
        return {**looking, "rtmp_live": "live"}
    if scheme == "rtp":
        return {**looking, "protocol_whitelist": "file,rtp,udp,crypto,data"}
    # Of a live list the last segment is enough to begin with.
    return {**looking, "live_start_index": "-1"} if scheme.startswith("http") else looking


def _video_of(container: InputContainer, uri: str) -> VideoStream:
    stream = container.streams.best("video") or next(iter(container.streams.video), None)
    if stream is None:
        raise Trouble("no_video", uri, "the stream has no picture", "choose one that has")
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        raise Trouble(
            "unsupported", uri, "its video is in a codec that nothing here can decode",
            "set the camera to H.264 or H.265",
        )  # fmt: skip
    return stream
