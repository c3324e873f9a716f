"""Somebody who looks at a live page for as long as it is there, and again when it is back.

A file of its own, so that its process loads little: it runs on the cores that are measured.
"""

from __future__ import annotations

import multiprocessing
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from multiprocessing.sharedctypes import Synchronized

from maskstream.stream.processes.process import (
    apart_from_caller,
    die_with_parent,
    ignore_interrupts,
)

_ANSWER_S = 5.0
_AGAIN_S = 0.5
_CHUNK_BYTES = 1 << 16


@contextmanager
def onlooker(url: str) -> Iterator[Callable[[], int]]:
    """Let a process look at the pictures at ``url`` in the block; gives who counts their bytes."""
    context = multiprocessing.get_context("spawn")
    seen = context.Value("q", 0)
    looker = context.Process(target=_look, args=(url, seen), daemon=True)
    with apart_from_caller():
        looker.start()
    try:
        yield lambda: int(seen.value)
    finally:
        looker.kill()
        looker.join()
        looker.close()


def _look(url: str, seen: Synchronized[int]) -> None:
    die_with_parent()
    ignore_interrupts()
    while True:
        with (
            suppress(OSError, HTTPException),
            urllib.request.urlopen(url, timeout=_ANSWER_S) as stream,
        ):
            while chunk := stream.read1(_CHUNK_BYTES):
                seen.value += len(chunk)
        time.sleep(_AGAIN_S)
