"""An engine with the runtime that it is to run in, as one word: ENGINE[@BACKEND[/PRECISION]]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, cast, get_args

from maskstream.engines import BACKENDS, Engine
from maskstream.engines.limits import Precision
from maskstream.errors import ConfigError
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.arguments.opening import open_any


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What is opened, and in what.

    Attributes:
        text: As it was typed.
        engine: A path or a name.
        precision: None for the quickest that the runtime offers on its own.
    """

    text: str
    engine: str
    backend: str = "auto"
    precision: Precision | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what a word says; an ``@`` that no backend follows is part of a path.

        Raises:
            ConfigError: The precision is none.
        """
        engine, at, runtime = text.rpartition("@")
        backend, slash, precision = runtime.partition("/")
        if not at or backend not in ("auto", *BACKENDS):
            return cls(text, text)
        known = get_args(Precision)
        if slash and precision not in known:
            raise ConfigError(
                f"{text}: no precision is called {precision!r}; use one of {', '.join(known)}."
            )
        return cls(text, engine, backend, cast(Precision, precision) if slash else None)

    def open(self, *, batch: int | None = None) -> Engine:
        """Return the engine on all cores; arguments and errors as of
        `tools.arguments.opening.open_any`."""
        return open_any(
            self.engine,
            backend=self.backend,
            precision=self.precision,
            threads=available_cores(),
            batch=batch,
        )
