"""What can be asked of the made-up source, as it is typed: ``synthetic:numbered?size=...``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qsl

from maskstream.errors import SourceError

SCHEME = "synthetic:"
MIN_WIDTH, MIN_HEIGHT = 160, 120
MAX_SIDE = 8192
_NAMES = ("numbered",)
_PATTERNS = ("figure", "square")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticOptions:
    """What can be asked of ``synthetic:numbered``."""

    width: int = 1280
    height: int = 720
    fps: Fraction = Fraction(30)
    frames: int = 300
    pattern: str = "figure"
    """What moves: ``figure`` (a head and a body) or ``square``."""
    is_realtime: bool = False
    """Hand the frames out at their rate instead of as fast as they are taken."""


def parse_synthetic(uri: str) -> SyntheticOptions:
    """Returns what ``uri`` asks for.

    Raises:
        SourceError: The name, a parameter or a value is unknown; the text names the nearest.
    """
    name, _, query = uri.removeprefix(SCHEME).partition("?")
    if name not in _NAMES:
        raise SourceError(f"{uri}: no synthetic source is called {name!r}; use {_NAMES[0]!r}.")
    given: dict[str, Any] = {}
    for key, text in parse_qsl(query, keep_blank_values=True):
        parse = _PARAMETERS.get(key)
        if parse is None:
            raise SourceError(
                f"{uri}: no parameter is called {key!r}; {_nearest(key, tuple(_PARAMETERS))}."
            )
        try:
            given |= parse(text)
        except ValueError as exc:
            raise SourceError(f"{uri}: {key}={text} is not possible; {exc}.") from exc
    return SyntheticOptions(**given)


def _parse_size(text: str) -> dict[str, Any]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    width, height = (int(side) for side in match.groups()) if match else (0, 0)
    fits = MIN_WIDTH <= width <= MAX_SIDE and MIN_HEIGHT <= height <= MAX_SIDE
    if not fits or width % 2 or height % 2:
        raise ValueError(
            f"give WIDTHxHEIGHT, both even, from {MIN_WIDTH}x{MIN_HEIGHT} to {MAX_SIDE}x{MAX_SIDE}"
        )
    return {"width": width, "height": height}


def _parse_fps(text: str) -> dict[str, Any]:
    match = re.fullmatch(r"\d{1,6}(\.\d{1,6}|/\d{1,6})?", text)
    if match is None or text.endswith("/0") or not 0 < Fraction(text) <= 1000:
        raise ValueError("give frames a second above 0 and up to 1000, such as 30 or 30000/1001")
    return {"fps": Fraction(text)}


def _parse_frames(text: str) -> dict[str, Any]:
    if re.fullmatch(r"\d{1,9}", text) is None or int(text) < 1:
        raise ValueError("give a number of frames from 1 to 999999999")
    return {"frames": int(text)}


def _parse_pattern(text: str) -> dict[str, Any]:
    if text not in _PATTERNS:
        raise ValueError(_nearest(text, _PATTERNS))
    return {"pattern": text}


def _parse_rate(text: str) -> dict[str, Any]:
    if text not in ("max", "realtime"):
        raise ValueError(_nearest(text, ("max", "realtime")))
    return {"is_realtime": text == "realtime"}


_PARAMETERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "size": _parse_size,
    "fps": _parse_fps,
    "frames": _parse_frames,
    "pattern": _parse_pattern,
    "rate": _parse_rate,
}


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
