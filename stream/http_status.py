"""``/metrics``, ``/status`` and ``/healthz`` of a run, served by a process of their own.

The run hands that process its newest figures through a socket that it never waits for, so nobody
who asks can hold the run up, and neither can the server's end.
"""

from __future__ import annotations

import ipaddress
import multiprocessing
import os
import socket
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stream.errors import ConfigError
from stream.http_server import ServerSetup, serve
from stream.publish import is_loopback
from stream.status import Status, encode_status
from stream.worker import apart_from_caller

TOKEN_MIN_CHARACTERS = 16
_BACKLOG = 64
_END_S = 2.0


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """Where the pages are served."""

    host: str
    """An IP address, or ``localhost``."""
    port: int
    """0 takes one that is free."""

    @property
    def shown(self) -> str:
        """As it stands in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, option: str = "--status-http") -> HttpAddress:
    """Return the address that ``HOST:PORT`` names.

    Args:
        text: As typed.
        option: What it was given to, for messages.

    Raises:
        ConfigError: It names none.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        if host != "localhost":
            ipaddress.ip_address(host)
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(port)
    except ValueError as exc:
        raise ConfigError(
            f"{option}: {text!r} was given; an IP address and a port are needed, such as "
            "127.0.0.1:9100."
        ) from exc
    return HttpAddress(host, int(port))


def read_token(path: Path) -> str:
    """Return the token that a file holds.

    Raises:
        ConfigError: It cannot be read, others can read it, or the token is too easily guessed.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or "no plain text"
        raise ConfigError(f"{path}: no token can be read ({reason}); name a file of one.") from exc
    if mode & 0o077:
        raise ConfigError(f"{path}: others can read the token; close the file: chmod 600 {path}")
    if len(token) < TOKEN_MIN_CHARACTERS or not token.isprintable() or " " in token:
        raise ConfigError(
            f"{path}: the token has to be one word of at least {TOKEN_MIN_CHARACTERS} characters; "
            f"make one: openssl rand -hex 32 > {path}"
        )
    return token


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


def listen(address: HttpAddress, option: str) -> socket.socket:
    """Return a socket that listens at ``address``.

    Args:
        address: Port 0 takes one that is free.
        option: What it was given to, for messages.

    Raises:
        ConfigError: It cannot be had.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
    except OSError as exc:
        raise ConfigError(
            f"{option}: {address.shown} cannot be taken ({os.strerror(exc.errno or 0)}); "
            "use another address or port."
        ) from exc
