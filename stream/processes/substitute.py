"""Finding a function by its dotted name, for tests that put something else in a stage."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from maskstream.errors import ConfigError


def substitute(name: str) -> Any:
    """Returns what ``package.module:function`` names.

    Raises:
        ConfigError: There is no such module or function.
    """
    module_name, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"{name}: {exc}; package.module:function is needed.") from exc
