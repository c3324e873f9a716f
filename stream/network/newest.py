"""A value that is replaced, for readers who want the newest and miss what they had no time for."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """The newest of something. All methods are for one event loop."""

    def __init__(self) -> None:
        """Begin without a value."""
        self.value: T | None = None
        self._changed = asyncio.Event()

    def put(self, value: T) -> None:
        """Replace the value, and wake whoever waits for it."""
        self.value = value
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, seen: T | None) -> T:
        """Return the newest value, once it is another object than ``seen``."""
        while self.value is None or self.value is seen:
            await self._changed.wait()
        return self.value
