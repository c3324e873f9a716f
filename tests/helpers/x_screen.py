"""A screen that nobody sees: an X server for tests, with keys, clicks on windows, and pictures.

The server is Xvfb; what is done to windows goes through the X protocol, as a desktop does it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from Xlib import XK, X
from Xlib.display import Display
from Xlib.error import BadWindow, ConnectionClosedError
from Xlib.ext import xtest
from Xlib.protocol.event import ClientMessage

from maskstream.stream.pixels.stamp import read_stamp

WIDTH, HEIGHT = 1280, 800
LONGEST_WAIT_S = 30.0


class Screen:
    """An X server in a process of its own, and a client of it."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self.name = name
        """As in DISPLAY."""
        self._process = process
        self._display = Display(name)

    @property
    def _root(self) -> Any:
        return self._display.screen().root

    def window(self, title: str) -> Any:
        """The window of that title, once it is there."""
        return self.wait_for(lambda: self.find(title), f"a window called {title!r}")

    def find(self, title: str) -> Any:
        """The window of that title; None where there is none."""
        return next((w for w in self.windows() if self._title(w) == title), None)

    def windows(self) -> list[Any]:
        """All windows with a title that are to be seen."""
        return [window for window in self._root.query_tree().children if self._is_seen(window)]

    def titles(self) -> list[str]:
        """Of all windows that are to be seen."""
        return [self._title(window) for window in self.windows()]

    def press(self, window: Any, key: str) -> None:
        """Point at a window, press a key and let it go."""
        window.warp_pointer(20, 20)
        code = self._display.keysym_to_keycode(XK.string_to_keysym(key))
        xtest.fake_input(self._display, X.KeyPress, code)
        xtest.fake_input(self._display, X.KeyRelease, code)
        self._display.sync()

    def close_window(self, window: Any) -> None:
        """Ask a window to close, as the button in its frame does."""
        what = self._display.intern_atom("WM_DELETE_WINDOW")
        kind = self._display.intern_atom("WM_PROTOCOLS")
        data = (32, [what, X.CurrentTime, 0, 0, 0])
        window.send_event(ClientMessage(window=window, client_type=kind, data=data))
        self._display.sync()

    def resize(self, window: Any, width: int, height: int) -> None:
        """Give a window another size."""
        window.configure(width=width, height=height)
        self._display.sync()

    def picture(self, window: Any) -> np.ndarray:
        """What is seen of a window, (height, width, 3) BGR."""
        size = window.get_geometry()
        image = window.get_image(0, 0, size.width, size.height, X.ZPixmap, 0xFFFFFFFF)
        pixels = np.frombuffer(image.data, np.uint8)
        return pixels.reshape(size.height, size.width, 4)[..., :3]

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until ``condition`` gives something and return it; fails after a long time."""
        deadline_s = time.monotonic() + LONGEST_WAIT_S
        while not (found := condition()):
            assert time.monotonic() < deadline_s, f"{what}: not seen; there are {self.titles()}"
            time.sleep(0.02)
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        self._process.send_signal(number)

    def close(self) -> None:
        """Close the client's connection, whether the server is still there or not."""
        with suppress(ConnectionClosedError):
            self._display.close()

    def _is_seen(self, window: Any) -> bool:
        try:
            is_viewable = window.get_attributes().map_state == X.IsViewable
            return is_viewable and bool(self._title(window))
        except BadWindow:  # closed since it was listed
            return False

    def _title(self, window: Any) -> str:
        name = self._display.intern_atom("_NET_WM_NAME")
        return window.get_full_text_property(name) or ""


@contextmanager
def x_screen() -> Iterator[Screen]:
    """Start a server, with a number that is free."""
    program = shutil.which("Xvfb")
    if program is None:
        reason = "Xvfb: not here; it is the screen that these tests show windows on."
        if os.environ.get("REQUIRE_SHARED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    reader, writer = os.pipe()
    size = f"{WIDTH}x{HEIGHT}x24"
    command = [program, "-displayfd", str(writer), "-screen", "0", size, "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL) as process:
        os.close(writer)
        try:
            with os.fdopen(reader, encoding="ascii") as said:
                name = f":{said.readline().strip()}"
            with closing(Screen(process, name)) as screen:
                yield screen
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def number_seen(picture: Any) -> int | None:
    """Return the number in the stamp of a picture; None where there is none to be read."""
    try:
        return read_stamp(np.ascontiguousarray(picture[..., 1])).frame_number
    except ValueError:
        return None
