"""What was measured when an engine was opened, kept so that the next opening need not measure."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from maskstream.engines.files.disk import user_cache_dir
from maskstream.engines.interface.backend import Model

_KEY_DIGITS = 32


class MeasuredChoice:
    """One choice on one machine, in a small file in the user's cache.

    The file also says what it was measured for, so that people can tell what it is. It can be
    removed at any time; where it cannot be written, the next opening measures again.

    Args:
        runtime: Names the folder, such as "openvino".
        model: The graph; its bytes are part of what the choice depends on.
        depends_on: What else it depends on, such as versions, threads and the batch. The processor
            is added.
    """

    def __init__(self, runtime: str, model: Model, depends_on: Mapping[str, Any]) -> None:
        graph = model if isinstance(model, bytes) else model.read_bytes()
        self._facts = {
            "graph": hashlib.sha256(graph).hexdigest(),
            "processor": processor_name(),
            **depends_on,
        }
        text = json.dumps(self._facts, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]
        self.path = user_cache_dir() / runtime / f"{key}.json"

    def read(self) -> dict[str, Any] | None:
        """Return what was chosen; None where nothing was, or the file is damaged."""
        try:
            chosen = json.loads(self.path.read_text(encoding="utf-8"))["chosen"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return chosen if isinstance(chosen, dict) else None

    def write(self, chosen: Mapping[str, Any], measured_ms: Mapping[str, float]) -> None:
        """Keep what was chosen, and the times that speak for it."""
        document = {"chosen": dict(chosen), "measured_ms": dict(measured_ms), "for": self._facts}
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            partial.replace(self.path)
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def processor_name() -> str:
    """Return the processor's model as the kernel names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
