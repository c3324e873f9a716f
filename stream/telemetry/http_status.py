"""``/metrics``, ``/status`` and ``/healthz`` of a run, served by a process of their own.

The run hands that process its newest figures through a socket that it never waits for, so nobody
who asks can hold the run up, and neither can the server's end.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import zlib
from collections.abc import Callable

from maskstream.errors import ConfigError
from maskstream.stream.addresses.http_address import HttpAddress, listen
from maskstream.stream.network.zmq_socket import is_loopback
from maskstream.stream.processes.process import apart_from_caller
from maskstream.stream.telemetry.http_server import ServerSetup, serve
from maskstream.stream.telemetry.status import Status, encode_status

_END_S = 2.0


class StatusServer:
    """The process that answers, as the run sees it."""

    def __init__(
        self, address: HttpAddress, *, token: str | None, warn: Callable[[str], None]
    ) -> None:
        """Take the address and start the process. To be called from the main thread.

        Args:
            address: Where to listen.
            token: That who asks has to show; needed where other machines can ask.
            warn: Told once if the process ends before it should.

        Raises:
            ConfigError: The address cannot be had, or others could read the figures unasked.
        """
        if token is None and not is_loopback(address.host):
            raise ConfigError(
                f"--status-http: other machines could ask at {address.shown}; use 127.0.0.1, or "
                "set a token: --status-token-file FILE."
            )
        self._warn = warn
        listener = listen(address, "--status-http")
        self.address = HttpAddress(address.host, listener.getsockname()[1])
        self._feed, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._feed.setblocking(False)
        setup = ServerSetup(listener, theirs, token, is_local=is_loopback(address.host))
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=serve, args=(setup,), name="http", daemon=True)
        with listener, theirs, apart_from_caller():
            self._process.start()

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"http://{self.address.shown}"

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid or 0

    def publish(self, status: Status) -> None:
        """Hand the newest figures over; while the process is behind, they are left out."""
        if self._feed.fileno() < 0:
            return
        try:
            # Compressed, as many sources' figures would else exceed what a socket takes.
            self._feed.send(zlib.compress(encode_status(status, "json"), 1))
        except BlockingIOError:
            return
        except OSError as exc:
            self._feed.close()
            self._warn(
                f"{self.url}: figures are no longer shown there ({os.strerror(exc.errno or 0)}); "
                "the run goes on."
            )

    def close(self) -> None:
        """End the process."""
        self._feed.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
