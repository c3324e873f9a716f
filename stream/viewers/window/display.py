"""The X display that a window would be shown on: whether it answers, its size, and Qt's way to it.

Qt, which OpenCV shows windows with, aborts the process where it cannot connect. So the connection
is tried first, through the library that Qt uses itself: it finds server and authority as Qt will.
"""

from __future__ import annotations

import ctypes
import os
import queue
import threading
from contextlib import suppress
from typing import Any, ClassVar

from maskstream.errors import ConfigError

ANSWER_S = 5.0
"""How long a server may take to answer; one across a slow network takes a second."""
_ELSEWHERE = "only a window needs one; over ssh: ssh -X, or deliver to a file or an address"
_BAD_NAME = 5
"""XCB_CONN_CLOSED_PARSE_ERR"""


class _Screen(ctypes.Structure):
    """The beginning of ``xcb_screen_t``."""

    _fields_: ClassVar[Any] = [
        ("root", ctypes.c_uint32),
        ("default_colormap", ctypes.c_uint32),
        ("white_pixel", ctypes.c_uint32),
        ("black_pixel", ctypes.c_uint32),
        ("current_input_masks", ctypes.c_uint32),
        ("width_in_pixels", ctypes.c_uint16),
        ("height_in_pixels", ctypes.c_uint16),
    ]


class _ScreenIterator(ctypes.Structure):
    _fields_: ClassVar[Any] = [
        ("data", ctypes.POINTER(_Screen)),
        ("rem", ctypes.c_int),
        ("index", ctypes.c_int),
    ]


def screen_size(timeout_s: float = ANSWER_S) -> tuple[int, int]:
    """Returns width and height of the display's screen, of all its monitors together, in pixels.

    Args:
        timeout_s: After this long a server counts as dead.

    Raises:
        ConfigError: There is no display, or it cannot be reached.
    """
    name = os.environ.get("DISPLAY")
    if not name:
        wayland = os.environ.get("WAYLAND_DISPLAY")
        if wayland:
            raise ConfigError(
                f"display: Wayland alone ({wayland}), DISPLAY is not set; OpenCV shows windows "
                "through X11: start Xwayland, or deliver to a file or an address."
            )
        raise ConfigError(f"display: none, DISPLAY is not set; {_ELSEWHERE}.")
    answers: queue.SimpleQueue[tuple[int, int] | int] = queue.SimpleQueue()
    # A server that is stopped takes the connection and never answers; libxcb waits for ever.
    threading.Thread(target=_ask, args=(answers,), name="display", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise ConfigError(
            f"display: {name} says nothing for {timeout_s:g} s; {_ELSEWHERE}."
        ) from None
    if answer == _BAD_NAME:
        raise ConfigError(f"display: DISPLAY is {name!r}, which names none; it is like :0.")
    if isinstance(answer, int):
        raise ConfigError(f"display: no server at {name} lets us in; {_ELSEWHERE}.")
    return answer


def lead_qt_to_display() -> None:
    """Prepare this process for OpenCV's windows; before the first of them."""
    # The wheel has this plugin alone; a desktop's own choice would abort the process.
    os.environ["QT_QPA_PLATFORM"] = "xcb"
    # Qt tells Xlib, through libX11-xcb, to leave the events to it. The wheel's copy of that library
    # is older than libX11 1.8, where the place for it is another: Xlib goes on taking some, and if
    # the one is among them that the window is there, it is black for ever. The system's copy fits
    # its libX11; loaded for everyone, it is the one that Qt finds.
    with suppress(OSError):
        ctypes.CDLL("libX11-xcb.so.1", mode=ctypes.RTLD_GLOBAL)


def _ask(answers: queue.SimpleQueue[tuple[int, int] | int]) -> None:
    """Connect and put the screen's size, or the number of libxcb's error."""
    xcb = ctypes.CDLL("libxcb.so.1")  # there wherever an OpenCV with windows can be imported
    xcb.xcb_connect.restype = xcb.xcb_get_setup.restype = ctypes.c_void_p
    xcb.xcb_setup_roots_iterator.restype = _ScreenIterator
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    error = int(xcb.xcb_connection_has_error(connection))
    if error:
        answers.put(error)
    else:
        setup = ctypes.c_void_p(xcb.xcb_get_setup(connection))
        screen = xcb.xcb_setup_roots_iterator(setup).data.contents
        answers.put((screen.width_in_pixels, screen.height_in_pixels))
    xcb.xcb_disconnect(connection)
