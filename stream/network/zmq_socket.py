"""The figures of a run on ZeroMQ, for any number of listeners, none of which can hold the run up.

A message has three parts: ``TOPIC``, the encoding's name, and the document
(``stream.telemetry.status``).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import zmq

from maskstream.errors import ConfigError

EXAMPLES = "tcp://127.0.0.1:5556 or ipc:///run/user/1000/maskstream/telemetry"
_UNREAD_MAX = 4
"""Messages kept for a listener that does not read; older figures are of no use to it."""
_HEARD_MAX_BYTES = 256
"""All that a listener has to say is the beginning of a topic; a longer one would only be kept."""
_LAST_WORD_MS = 100
"""How long the run's last message may take to leave."""
_IPC_PATH_MAX_BYTES = 107


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where figures are published: an address with a port, or a socket file."""

    address: str
    """As ZeroMQ takes it."""
    host: str | None = None
    path: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host is None or is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address, or ``localhost``, can be reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_endpoint(text: str) -> Endpoint:
    """Return the endpoint that ``text`` names.

    Raises:
        ConfigError: It names none.
    """
    scheme, _, rest = text.partition("://")
    if scheme == "ipc" and rest.startswith("/") and not rest.endswith("/"):
        if len(os.fsencode(rest)) > _IPC_PATH_MAX_BYTES:
            raise ConfigError(
                f"{text}: the path is longer than {_IPC_PATH_MAX_BYTES} bytes, which no socket "
                "takes; use a shorter one."
            )
        return Endpoint(text, path=Path(rest))
    if scheme != "tcp":
        raise ConfigError(f"{text}: no endpoint; use {EXAMPLES}.")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path or "@" in rest:
        raise ConfigError(f"{scheme}: no address with a port from 1 to 65535; use {EXAMPLES}.")
    number = "127.0.0.1" if host == "localhost" else host
    shown = f"[{number}]" if ":" in number else number
    return Endpoint(f"tcp://{shown}:{port}", host=host)


class PubSocket:
    """An endpoint that messages go out at; whoever does not read them in time misses some."""

    def __init__(self, endpoint: Endpoint, *, unread_max: int) -> None:
        """Take the endpoint.

        Args:
            endpoint: Its socket file's folder is made, for this user alone, where it is missing.
            unread_max: Messages kept for a listener that does not read.

        Raises:
            ConfigError: The endpoint cannot be had.
        """
        self.endpoint = endpoint
        self._is_bound = False
        if endpoint.path is not None:
            _prepare_socket_file(endpoint.path)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, unread_max)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _HEARD_MAX_BYTES)
        self._socket.setsockopt(zmq.IPV6, int(endpoint.host is not None and ":" in endpoint.host))
        try:
            self._bind()
        except zmq.ZMQError as exc:
            self._release()
            raise ConfigError(
                f"{endpoint.address}: cannot be taken ({zmq.strerror(exc.errno or 0)}); "
                f"use another endpoint, such as {EXAMPLES}."
            ) from exc

    def send(self, parts: Sequence[bytes]) -> None:
        """Hand a message to whoever listens; never waits for any of them."""
        with suppress(zmq.Again):
            self._socket.send_multipart(parts, zmq.NOBLOCK)

    def close(self) -> None:
        """Give the endpoint back."""
        # Only here something may linger, so that listeners hear of the end.
        self._socket.setsockopt(zmq.LINGER, _LAST_WORD_MS)
        self._release()

    def _bind(self) -> None:
        # The socket file is for this user alone, as its folder is.
        mask = os.umask(0o077)
        try:
            self._socket.bind(self.endpoint.address)
        finally:
            os.umask(mask)
        self._is_bound = True

    def _release(self) -> None:
        self._socket.close()
        self._context.term()
        if self.endpoint.path is not None and self._is_bound:
            self.endpoint.path.unlink(missing_ok=True)


def _prepare_socket_file(path: Path) -> None:
    """Make the folder, for its owner alone, and remove what a killed run left.

    Raises:
        ConfigError: Others can reach the folder, or something else has the name.
    """
    folder = path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
    except OSError as exc:
        raise ConfigError(
            f"ipc://{path}: {folder} cannot be made ({exc.strerror}); use another folder."
        ) from exc
    if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
        raise ConfigError(
            f"ipc://{path}: others can reach {folder}; use a folder of your own that is not there "
            "yet, or close it: chmod 700."
        )
    if not path.is_symlink() and not path.exists():
        return
    if path.is_symlink() or not path.is_socket():
        raise ConfigError(f"ipc://{path}: it is a file and no socket; use another name.")
    if _is_listened_to(path):
        raise ConfigError(f"ipc://{path}: another run publishes there; use another name.")
    path.unlink(missing_ok=True)


def _is_listened_to(path: Path) -> bool:
    """Whether a process still serves a socket file; one that was killed leaves the file behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True
