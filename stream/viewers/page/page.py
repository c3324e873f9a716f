"""The live page of a run: pictures of all sources and moving figures, served to browsers.

``open_page`` takes the address in the supervisor's process, so a page that dies and is started
anew serves the same listener, and nobody who connects in between is turned away. ``run`` is the
body of the page's own process: its main thread takes frames and makes JPEGs of those that somebody
waits for, and a thread beside it serves.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress

from maskstream.errors import ConfigError
from maskstream.stream.addresses.http_address import HttpAddress, listen
from maskstream.stream.memory.slot import Slot
from maskstream.stream.network.zmq_socket import is_loopback
from maskstream.stream.stages.stage import Stage
from maskstream.stream.stages.viewer import watch
from maskstream.stream.telemetry.status import Status, encode_status
from maskstream.stream.viewers.page.jpeg import encode_jpeg
from maskstream.stream.viewers.page.pictures import Picture, Pictures
from maskstream.stream.viewers.page.server import PageSettings, ServerThread

OPTION = "--web"
_NICE = 10
"""The page takes what the run leaves of the cores, and little more."""
_TICK_S = 0.05
"""A lost source's last picture, asked for now, is made within this."""


class PageHost:
    """The page as the supervisor sees it: its address, and its process's settings."""

    def __init__(
        self,
        listener: socket.socket,
        address: HttpAddress,
        token: str | None,
        names: dict[int, str],
    ) -> None:
        """Hold ``listener``. See ``open_page``."""
        self.address = address
        self._listener = listener
        self._token = token
        self._names = dict(names)
        self._ends: tuple[socket.socket, socket.socket] | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{self.address.shown}/"

    def settings(self) -> PageSettings:
        """Return what a process of the page needs; the one before it gets no figures any more."""
        self._close_feed()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._ends = ours, theirs
        return PageSettings(
            listener=self._listener,
            feed=theirs,
            token=self._token,
            is_local=is_loopback(self.address.host),
            names=self._names,
        )

    def publish(self, status: Status) -> None:
        """Hand the newest figures over; while the page is behind, they are left out."""
        if self._ends is not None:
            with suppress(BlockingIOError):
                self._ends[0].send(zlib.compress(encode_status(status, "json"), 1))

    def close(self) -> None:
        """Give the address back."""
        self._close_feed()
        self._listener.close()

    def _close_feed(self) -> None:
        for end in self._ends or ():
            end.close()
        self._ends = None


def check_page(address: HttpAddress, token: str | None) -> None:
    """Check that only who may look can look.

    Raises:
        ConfigError: Other machines could look unasked.
    """
    if token is None and not is_loopback(address.host):
        raise ConfigError(
            f"{OPTION}: other machines could look at {address.shown}; use 127.0.0.1, or set a "
            f"token: {OPTION}-token-file FILE."
        )


def open_page(address: HttpAddress, *, token: str | None, names: dict[int, str]) -> PageHost:
    """Take the page's address.

    Args:
        address: Where to listen; port 0 takes one that is free.
        token: That who looks has to show; needed where other machines can connect.
        names: What the sources are called, without passwords, by source id.

    Raises:
        ConfigError: The address cannot be had, or others could look unasked.
    """
    check_page(address, token)
    listener = listen(address, OPTION)
    taken = HttpAddress(address.host, listener.getsockname()[1])
    return PageHost(listener, taken, token, names)


def run(stage: Stage, settings: PageSettings) -> None:
    """Serve the page until every source has ended: the body of its process."""
    # What a stranger sends wrong is answered, not logged.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    os.nice(_NICE)  # before the server's thread is there, which inherits it
    pictures = Pictures(settings.names)
    held: dict[int, Slot] = {}
    with ServerThread(settings, pictures) as server:
        gc.freeze()
        stage.ready()
        for newest in watch(stage, _TICK_S):
            held.update(newest)
            for source_id, slot in newest.items():
                pictures.note_frame(source_id, slot.header.captured_ns)
            _serve_pictures(stage, server, pictures, held)


def _serve_pictures(
    stage: Stage, server: ServerThread, pictures: Pictures, held: Mapping[int, Slot]
) -> None:
    """Make the pictures that are waited for; a frame may be used until the next one comes."""
    wanted = pictures.wanted(time.monotonic())
    for source_id in wanted:
        header = held[source_id].header
        jpeg = encode_jpeg(
            held[source_id].planes,
            color_range=header.color_range,
            color_matrix=header.color_matrix,
        )
        server.put(source_id, Picture(header.captured_ns, jpeg))
        stage.page.count_given()
    if not wanted:
        server.check()
