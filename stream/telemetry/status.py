"""A run's figures as others read them: one versioned document, made from the run's own snapshot.

It is what ``--telemetry`` publishes and what ``/status`` answers. Its ``figures`` are the
snapshot's fields as they are, so the terminal, the report and whoever listens cannot disagree.
"""

from __future__ import annotations

import os
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, get_args

import msgpack
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maskstream.errors import ConfigError
from maskstream.stream.arguments import Encoding
from maskstream.stream.memory.histogram import BOUNDS_S
from maskstream.stream.telemetry.snapshot import Snapshot

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
STATUS_VERSION = 1
"""Counts up when a key goes or changes its meaning; new keys may come at any time."""


class Status(BaseModel):
    """All figures of a run at one moment."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    version: Literal[1] = Field(description="Of this layout.")
    maskstream: str = Field(description="Version of the program.")
    pid: int = Field(description="Process id of the run.")
    sent_s: float = Field(description="Wall clock when it was made; seconds since 1970.")
    bounds_s: tuple[float, ...] = Field(
        description="The figures' `counts` say how many durations were at most each of these, "
        "then how many there were in all."
    )
    figures: Snapshot


def build_status(figures: Snapshot) -> Status:
    """Return the document of this process's run."""
    try:
        program = version("maskstream")
    except PackageNotFoundError:
        program = "not installed"
    # Not checked again: all of it was made here.
    return Status.model_construct(
        version=1,
        maskstream=program,
        pid=os.getpid(),
        sent_s=time.time(),
        bounds_s=BOUNDS_S,
        figures=figures,
    )


def encode_status(status: Status, encoding: Encoding) -> bytes:
    """Return a document as bytes."""
    if encoding == "json":
        return status.model_dump_json().encode()
    packed = msgpack.packb(status.model_dump(mode="json"))
    return bytes(packed)


def decode_status(payload: bytes, encoding: str) -> Status:
    """Return the document that ``encode_status`` made bytes of, maybe in another version.

    Raises:
        ConfigError: It is none, or one of a layout that is not known here.
    """
    try:
        if encoding == "json":
            return Status.model_validate_json(payload)
        if encoding == "msgpack":
            # As JSON, so that both ways are read by the same rules.
            return Status.model_validate(msgpack.unpackb(payload), strict=False)
    except (ValidationError, ValueError, msgpack.UnpackException) as exc:
        raise ConfigError(
            f"telemetry: what came is no document of version {STATUS_VERSION}; "
            "use the same version of maskstream on both sides."
        ) from exc
    raise ConfigError(f"telemetry: encoding {encoding!r}; json or msgpack is needed.")
