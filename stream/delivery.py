"""Where frames and results go: what ``-o`` and ``--results`` name, parsed once into one type.

The form alone decides the kind: ``window:`` and ``null:`` are words, ``http://`` serves and
``rtsp://`` sends, a suffix tells a file's kind, and a folder is one that exists. The parsed
`Delivery` travels on to the processes that carry it out; nothing is opened here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maskstream.errors import OutputError
from maskstream.stream.addresses.redact import shown

CONTAINERS = {".mp4": "mp4", ".mkv": "matroska"}
"""Suffix of a recording to FFmpeg's name of its container."""

DeliveryKind = Literal[
    "null", "window", "video", "folder", "hls", "page", "publish", "rtsp_server",
    "results", "results_folder", "results_endpoint",
]  # fmt: skip

DeliveryKey = Literal["outputs", "results"]

NULL_OUTPUT = "null:"
"""The delivery that takes every frame and writes nothing."""
RESULTS_SUFFIX = ".ndjson"
HLS_SUFFIX = ".m3u8"
VIDEO_SUFFIX = ".mp4"
"""Of recordings in a folder."""
PUBLISH_SCHEMES = ("rtsp", "rtmp", "udp")
ENDPOINT_SCHEMES = ("tcp", "ipc")
KNOWN_OUTPUTS = (
    f"FILE{' or FILE'.join(sorted(CONTAINERS, reverse=True))}, an existing folder, "
    f"FILE{RESULTS_SUFFIX}, NAME{HLS_SUFFIX}, window:, http://HOST:PORT, rtsp://, rtmp:// or "
    f"udp://, rtsp-server://HOST:PORT/NAME, or {NULL_OUTPUT}"
)
"""What ``-o`` takes, for messages."""
KNOWN_RESULTS = f"FILE{RESULTS_SUFFIX}, an existing folder, tcp://HOST:PORT or ipc:///PATH"
"""What ``--results`` takes, for messages."""

_WORDS: dict[str, DeliveryKind] = {NULL_OUTPUT: "null", "window:": "window"}
_SCHEMES: dict[str, DeliveryKind] = {
    "http": "page",
    "rtsp-server": "rtsp_server",
    **dict.fromkeys(PUBLISH_SCHEMES, "publish"),
}
_SUFFIXES: dict[str, DeliveryKind] = {
    RESULTS_SUFFIX: "results",
    HLS_SUFFIX: "hls",
    **dict.fromkeys(CONTAINERS, "video"),
}
_FILES: frozenset[DeliveryKind] = frozenset(("video", "folder", "hls", "results", "results_folder"))
_FOLDERS: frozenset[DeliveryKind] = frozenset(("folder", "results_folder"))
_RESULTS: frozenset[DeliveryKind] = frozenset(("results", "results_folder", "results_endpoint"))
_VIEWERS: frozenset[DeliveryKind] = frozenset(("window", "page", "publish", "rtsp_server"))
_ONE_SOURCE: frozenset[DeliveryKind] = frozenset(("video", "hls", "results", "publish"))
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(//)?", re.IGNORECASE)
_ENCRYPTED = {"https": "http", "rtsps": "rtsp", "rtmps": "rtmp"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One place that frames or results go to."""

    kind: DeliveryKind
    text: str
    """As typed; to be shown through ``shown`` alone, as an address may hold a password."""
    key: DeliveryKey = "outputs"
    """The argument that named it."""

    @property
    def path(self) -> Path:
        """The file or folder, for the kinds that are one."""
        return Path(self.text)

    @property
    def address(self) -> str:
        """What follows the scheme of an address: ``HOST:PORT`` of a page."""
        return self.text.partition("://")[2].rstrip("/")

    @property
    def shown(self) -> str:
        """As it may be shown to anyone."""
        return shown(self.text)

    @property
    def is_file(self) -> bool:
        """Whether it is a file, or files in a folder."""
        return self.kind in _FILES

    @property
    def is_results(self) -> bool:
        """Whether it takes results, not frames."""
        return self.kind in _RESULTS

    @property
    def is_viewer(self) -> bool:
        """Whether someone watches there: a window, a page, a server, a receiver."""
        return self.kind in _VIEWERS

    @property
    def is_shared(self) -> bool:
        """Whether several sources can go there together."""
        return self.kind not in _ONE_SOURCE

    def file_of(self, stem: str) -> str:
        """Return the path that one source is written to: where a link leads, not the link.

        Args:
            stem: The name of the source's file in a folder, without suffix.
        """
        if self.kind not in _FOLDERS:
            is_link = self.is_file and self.path.is_symlink()
            return str(self.path.resolve()) if is_link else self.text
        suffix = VIDEO_SUFFIX if self.kind == "folder" else RESULTS_SUFFIX
        return str(self.path / f"{stem}{suffix}")


def parse_delivery(text: str, key: DeliveryKey = "outputs") -> Delivery:
    """Return what one ``-o`` or ``--results`` names. Looks whether a folder exists, opens nothing.

    Args:
        key: ``outputs`` for ``-o``, ``results`` for ``--results``.

    Raises:
        OutputError: Nothing can go there; the text lists what there is.
    """
    if key == "results":
        return Delivery(_kind_of_results(text), text, key)
    kind = _WORDS.get(text) or _kind_of_address(text) or _kind_of_path(text)
    return Delivery(kind, text)


def parse_deliveries(
    outputs: Iterable[str] = (), results: Iterable[str] = ()
) -> tuple[Delivery, ...]:
    """Return what any number of ``-o`` and ``--results`` name; errors as of `parse_delivery`."""
    return (
        *(parse_delivery(text) for text in outputs),
        *(parse_delivery(text, "results") for text in results),
    )


def _kind_of_results(text: str) -> DeliveryKind:
    match = _SCHEME.match(text)
    if match is not None and match[1].lower() in ENDPOINT_SCHEMES and match[2]:
        return "results_endpoint"
    if match is not None and (match[2] or text in _WORDS):
        raise OutputError(f"{shown(text)}: results cannot go there; use {KNOWN_RESULTS}.")
    if not text:
        raise OutputError(f"'': an empty name for results; use {KNOWN_RESULTS}.")
    if Path(text).is_dir():
        return "results_folder"
    if _SUFFIXES.get(Path(text).suffix.lower(), "results") != "results":
        raise OutputError(f"{text}: a video's name; results need {KNOWN_RESULTS}.")
    return "results"


def _kind_of_address(text: str) -> DeliveryKind | None:
    """Return the kind that a scheme decides; None where ``text`` has no scheme."""
    match = _SCHEME.match(text)
    if match is None or (not match[2] and text != match[0]):
        return None  # a colon inside a file's name
    scheme = match[1].lower()
    if match[2] and scheme in _SCHEMES:
        if not text[match.end() :]:
            raise OutputError(f"{text}: no address follows; use {KNOWN_OUTPUTS}.")
        return _SCHEMES[scheme]
    raise OutputError(f"{shown(text)}: {_no_such_scheme(scheme, is_address=bool(match[2]))}")


def _no_such_scheme(scheme: str, *, is_address: bool) -> str:
    """Return what is wrong with an unknown scheme, and what would be right."""
    if is_address and scheme in _ENCRYPTED:
        plain = _ENCRYPTED[scheme]
        return f"{scheme} is not spoken here; use {plain}://, or put a proxy before it."
    if is_address and scheme in ENDPOINT_SCHEMES:
        return "frames cannot go there, but results can: --results."
    known = list(_SCHEMES) if is_address else [word.rstrip(":") for word in _WORDS]
    near = difflib.get_close_matches(scheme, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}:{'//' if is_address else ''}?"
    return f"frames cannot go there; use {KNOWN_OUTPUTS}."


def _kind_of_path(text: str) -> DeliveryKind:
    if not text:
        raise OutputError(f"'': an empty name for an output; use {KNOWN_OUTPUTS}.")
    path = Path(text)
    if path.is_dir():
        return "folder"
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is not None:
        return kind
    if f"{text}:" in _WORDS:
        raise OutputError(f"{text}: no folder of that name is there; did you mean {text}:?")
    if text.endswith("/") or not path.suffix:
        raise OutputError(
            f"{text}: no folder of that name is there, and a file needs a suffix; make the folder "
            f"first (mkdir -p {text}), or use {KNOWN_OUTPUTS}."
        )
    raise OutputError(f"{text}: the name ends in {path.suffix!r}; use {KNOWN_OUTPUTS}.")
