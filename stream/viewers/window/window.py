"""`window:`: delivered frames in a window of OpenCV's, in a process of its own.

One window, however many sources there are; several lie in it side by side. OpenCV tells which key
was pressed but not in which window, and many window managers place windows as they like: with one,
the keys and the closing have one meaning, nothing covers anything, and all get larger together.

==================  ==============================================================
q, Esc, closing it  end the run as Ctrl-C does
space               stops the pictures, and lets them go on; the run goes on meanwhile
s                   saves each source's picture, in its own size, as a PNG file
==================  ==============================================================
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from maskstream.errors import ConfigError, OutputError
from maskstream.stream.memory.slot import Slot
from maskstream.stream.pixels.still import Size, Still
from maskstream.stream.stages.stage import Stage
from maskstream.stream.stages.viewer import ask_for_the_end, watch
from maskstream.stream.viewers.window.display import lead_qt_to_display, screen_size
from maskstream.stream.viewers.window.tiles import BACKGROUND, Tile, cells, first_size

POLL_S = 0.03
"""The window answers to keys and the mouse at least this often."""
REDRAW_S = 1 / 60
"""A fast run is not drawn more often than a screen shows it: the processor has better to do."""
SMALLEST_PX = 64
"""A smaller window shows the canvas scaled down."""
_END_KEYS = frozenset(b"qQ\x1b")
_PAUSE_KEY: Final = ord(" ")
_SAVE_KEYS = frozenset(b"sS")
_WINDOW = "maskstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSettings:
    """What the window is started with."""

    names: dict[int, str]
    """Of the sources by id, as they are shown to the user, without passwords."""
    display_fps: bool
    """Whether each picture says how many a second are seen."""
    folder: Path
    """Where pictures are saved."""


def check_display() -> None:
    """Check before a run that a window can be shown; shows none.

    Raises:
        ConfigError: OpenCV has no windows, or there is no display, or it cannot be reached.
    """
    if not cv2.currentUIFramework():
        raise ConfigError(
            "window: this OpenCV was built without windows; install opencv-python in place of "
            "opencv-python-headless."
        )
    screen_size()


def run(stage: Stage, settings: WindowSettings) -> None:
    """Show frames until every source has ended."""
    # Ready before the window opens: the display was there before the run, and where it is gone
    # meanwhile the recording is not to end.
    stage.ready()
    wall = _Wall(stage, settings)
    is_open = True
    for newest in watch(stage, POLL_S):
        if is_open:
            wall.take(newest)
            is_open = wall.show()
            if not is_open:
                ask_for_the_end(stage)
        # Else what is left in the line is let go by, until the run is over.


class _Wall:
    """The window, with a tile a source."""

    def __init__(self, stage: Stage, settings: WindowSettings) -> None:
        views = stage.setup.views
        self._stage = stage
        self._settings = settings
        self._tiles = {
            view.source_id: Tile(
                _short(settings.names[view.source_id]) if len(views) > 1 else None,
                settings.display_fps,
            )
            for view in views
        }
        self._cell = Size(
            max(view.layout.width for view in views), max(view.layout.height for view in views)
        )
        self._canvas = np.empty((0, 0, 3), np.uint8)
        self._drawn_s = 0.0
        self._is_paused = False
        first = _short(settings.names[views[0].source_id])
        self._open(first if len(views) == 1 else f"{len(views)} sources")

    def _open(self, subject: str) -> None:
        lead_qt_to_display()
        size = first_size(len(self._tiles), self._cell, Size(*screen_size()))
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL
        cv2.namedWindow(_WINDOW, flags)
        cv2.resizeWindow(_WINDOW, *size)
        cv2.setWindowTitle(_WINDOW, f"{subject} - maskstream")

    def take(self, newest: dict[int, Slot]) -> None:
        """Remember what came; the slots are ours until others come."""
        now_s = time.monotonic()
        for view in self._stage.setup.views:
            tile = self._tiles[view.source_id]
            tile.is_ended = view.is_ended
            if view.source_id in newest:
                tile.take(Still.of(newest[view.source_id]), now_s)

    def show(self) -> bool:
        """Draw what changed and answer the keys; returns whether the window is still wanted."""
        if time.monotonic() - self._drawn_s >= REDRAW_S:
            self._draw()
        key = cv2.waitKey(1)
        if key in _END_KEYS:
            cv2.destroyAllWindows()
            return False
        if key == _PAUSE_KEY:
            self._is_paused = not self._is_paused
            for tile in self._tiles.values():
                tile.pause(self._is_paused)
        elif key in _SAVE_KEYS:
            self._save()
        return _is_open()

    def _draw(self) -> None:
        self._drawn_s = now_s = time.monotonic()
        # As large as the window is now: Qt would scale it without smoothing.
        _, _, width, height = cv2.getWindowImageRect(_WINDOW)
        size = Size(max(width, SMALLEST_PX), max(height, SMALLEST_PX))
        is_resized = self._canvas.shape != (size.height, size.width, 3)
        if is_resized:
            self._canvas = np.full((size.height, size.width, 3), BACKGROUND, np.uint8)
        is_changed = False
        places = cells(len(self._tiles), self._cell, size)
        for tile, (left, top, room) in zip(self._tiles.values(), places, strict=True):
            cell = self._canvas[top : top + room.height, left : left + room.width]
            is_drawn, is_frame = tile.draw(cell, now_s, is_due=is_resized)
            is_changed |= is_drawn
            if is_frame:
                self._stage.page.count_given()
        if is_changed:
            cv2.imshow(_WINDOW, self._canvas)

    def _save(self) -> None:
        for source_id, tile in self._tiles.items():
            if tile.shown is None:
                continue
            name = self._settings.names[source_id]
            try:
                path = tile.shown.save(self._settings.folder, name)
            except OutputError as exc:
                self._stage.tell(str(exc))
            else:
                self._stage.tell(f"saved {path}")


def _short(name: str) -> str:
    """Returns a source's name without the folders that a file lies in."""
    return name if "://" in name else Path(name).name


def _is_open() -> bool:
    """Whether nobody closed the window."""
    try:
        return cv2.getWindowProperty(_WINDOW, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:  # Qt ended itself with its last window
        return False
