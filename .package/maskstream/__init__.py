"""Real-time instance segmentation on video.

::

    import maskstream as ms

    with ms.open("street.mp4", engine="person", track=True) as run:
        for frame in run:
            for seen in frame.instances:
                print(frame.pts_s, seen.class_name, seen.track_id, seen.box)

Names are loaded when they are first used, so that ``import maskstream`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maskstream.errors import ConfigError, MaskstreamError, OutputError, SourceError

if TYPE_CHECKING:
    from maskstream.stream.telemetry.report import Report
    from maskstream.tools.library.frames import Frame
    from maskstream.tools.library.instances import FrameOverError, Instance, Instances
    from maskstream.tools.library.pictures import PictureEngine, open_engine
    from maskstream.tools.library.runs import Run, RunError, open

__all__ = [
    "ConfigError",
    "Frame",
    "FrameOverError",
    "Instance",
    "Instances",
    "MaskstreamError",
    "OutputError",
    "PictureEngine",
    "Report",
    "Run",
    "RunError",
    "SourceError",
    "open",
    "open_engine",
]

_HOMES = {
    "Report": "stream.telemetry.report",
    "Frame": "tools.library.frames",
    "FrameOverError": "tools.library.instances",
    "Instance": "tools.library.instances",
    "Instances": "tools.library.instances",
    "PictureEngine": "tools.library.pictures",
    "open_engine": "tools.library.pictures",
    "Run": "tools.library.runs",
    "RunError": "tools.library.runs",
    "open": "tools.library.runs",
}


def __getattr__(name: str) -> Any:
    """Load a public name."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'maskstream' has no attribute {name!r}")
    value = getattr(import_module(f"maskstream.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
