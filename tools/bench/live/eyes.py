"""Those who look at a run from outside: each gives the pictures that it sees, one after the other.

A picture is (H, W) grey. It is given once it is decoded: an earlier moment would be of no use to
anybody who looks.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import aiohttp
import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Take = Callable[[Picture], bool]
"""Is given each picture, and says whether to go on."""
_ANSWER_S = 10.0
_CHUNK_BYTES = 1 << 16
_HEAD = b"Content-Type: image/jpeg\r\n\r\n"
_TAIL = b"\r\n--"
_SOURCE_ID_BYTES = 4
_WINDOW = "maskstream"
"""The end of its title."""
_SCREEN = "1280x800x24"
_POLL_S = 0.002


def see_mjpeg(url: str, take: Take) -> None:
    """Look at the first source of a live page as a browser's picture element does."""
    with urllib.request.urlopen(f"{url}stream/0", timeout=_ANSWER_S) as stream:
        kept = b""
        while chunk := stream.read1(_CHUNK_BYTES):
            kept += chunk
            # A picture is whole when the head of the next has come.
            while (begin := kept.find(_HEAD)) >= 0:
                begin += len(_HEAD)
                end = kept.find(_TAIL, begin)
                if end < 0:
                    break
                jpeg, kept = kept[begin:end], kept[end:]
                if not take(_decoded(jpeg)):
                    return


def see_websocket(url: str, take: Take) -> None:
    """Look at the first source of a live page as its own low-latency view does."""
    asyncio.run(_see_websocket(url, take))


async def _see_websocket(url: str, take: Take) -> None:
    ask = json.dumps({"next": 0})
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}live") as sock:
        await sock.send_str(ask)
        async for message in sock:
            if message.type != aiohttp.WSMsgType.BINARY:
                continue
            await sock.send_str(ask)
            if not take(_decoded(message.data[_SOURCE_ID_BYTES:])):
                return


def see_rtsp(url: str, take: Take) -> None:
    """Look at a stream as a player that keeps nothing back does."""
    options = {"rtsp_transport": "tcp", "fflags": "nobuffer", "flags": "low_delay"}
    with av.open(url, options=options, timeout=_ANSWER_S) as container:
        video = container.streams.video[0]
        # Threads that decode a frame each would hold as many back.
        video.thread_type = "NONE"
        for frame in container.decode(video):
            plane = frame.planes[0]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            if not take(rows[:, : plane.width]):
                return


def why_no_screen() -> str | None:
    """Return why no window can be looked at here; None where one can."""
    if shutil.which("Xvfb") is None:
        return "Xvfb is not installed"
    try:
        import Xlib  # noqa: F401 - only whether it is there
    except ImportError:
        return "python-xlib is not installed"
    return None


@contextmanager
def screen() -> Iterator[str]:
    """Run an X server that nobody sees in the block; gives its name, as in DISPLAY."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", _SCREEN, "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL) as server:
        os.close(writer)
        try:
            with os.fdopen(reader, encoding="ascii") as said:
                yield f":{said.readline().strip()}"
        finally:
            server.kill()


def see_window(display_name: str, take: Take) -> None:
    """Look at the window on a screen, again and again."""
    from Xlib import X
    from Xlib.display import Display
    from Xlib.error import XError

    display = Display(display_name)
    try:
        name = display.intern_atom("_NET_WM_NAME")
        root = display.screen().root
        is_going = True
        while is_going:
            time.sleep(_POLL_S)
            with suppress(XError, StopIteration):
                window = next(
                    child
                    for child in root.query_tree().children
                    if (child.get_full_text_property(name) or "").endswith(_WINDOW)
                )
                size = window.get_geometry()
                seen = window.get_image(0, 0, size.width, size.height, X.ZPixmap, 0xFFFFFFFF)
                pixels = np.frombuffer(seen.data, np.uint8).reshape(size.height, size.width, 4)
                is_going = take(pixels[..., 1])
    finally:
        display.close()


def _decoded(jpeg: bytes) -> Picture:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise RuntimeError(f"bench: {len(jpeg)} bytes are no JPEG; the page has to send one.")
    return np.asarray(picture, np.uint8)
