"""Lengths of time and sizes as people write them: ``10m``, ``50GB``."""

from __future__ import annotations

import re

from pydantic import ByteSize, TypeAdapter, ValidationError

from maskstream.errors import ConfigError

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_SIZE = re.compile(r"\d+(?:\.\d+)?\s*[kKmMgGtT]i?[bB]", re.ASCII)
_byte_size = TypeAdapter(ByteSize)


def parse_duration_s(text: str) -> float:
    """Return the length of time that ``text`` says, in seconds.

    Args:
        text: Numbers with a unit each: ``90s``, ``10m``, ``1h30m``, ``7d``.

    Raises:
        ConfigError: It says none, or nothing at all.
    """
    text_stripped = text.strip()
    parts = _PART.findall(text_stripped) if _DURATION.fullmatch(text_stripped) else []
    duration_s = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    if not duration_s:
        raise ConfigError(f"{text!r}: no length of time; write 90s, 10m, 1h30m or 7d.")
    return duration_s


def parse_bytes(text: str) -> int:
    """Return the size that ``text`` says, in bytes.

    Args:
        text: A number with a unit: ``500MB``, ``50GB`` (powers of 1000) or ``1.5GiB`` (of 1024).

    Raises:
        ConfigError: It says none, or nothing at all.
    """
    try:
        # A bare number, which pydantic takes for bytes, is a forgotten unit here.
        size_bytes = int(_byte_size.validate_python(text)) if _SIZE.fullmatch(text.strip()) else 0
    except ValidationError:
        size_bytes = 0
    if not size_bytes:
        raise ConfigError(f"{text!r}: no size; write 500MB, 50GB or 1.5TiB.")
    return size_bytes
