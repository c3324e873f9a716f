"""What a picture means: networks, weights, decoding, runtimes and export.

The names below are loaded when they are first used, so that importing a light module of this
folder does not load NumPy and the runtimes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskstream.engines.backends import BACKENDS
    from maskstream.engines.engine import Engine
    from maskstream.engines.files.zoo import read_manifest, resolve_engine
    from maskstream.engines.opening import open_engine

__all__ = ["BACKENDS", "Engine", "open_engine", "read_manifest", "resolve_engine"]

_MODULES = {
    "BACKENDS": "backends",
    "Engine": "engine",
    "open_engine": "opening",
    "read_manifest": "files.zoo",
    "resolve_engine": "files.zoo",
}


def __getattr__(name: str) -> Any:
    """Return a public name, loaded from its module on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
