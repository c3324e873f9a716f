"""Where players find a stream: ``rtsp-server://127.0.0.1:8554/NAME``.

Other machines may watch only with a user and a password, as in
``rtsp-server://viewer:${CAM_PASS}@0.0.0.0:8554/NAME``; an address without them is for this machine.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from maskstream.errors import ConfigError
from maskstream.stream.addresses import listening
from maskstream.stream.addresses.redact import resolve, shown
from maskstream.stream.network.zmq_socket import is_loopback
from maskstream.stream.viewers.rtsp.auth import Credentials

SCHEME = "rtsp-server"
_WANTED = "rtsp-server://127.0.0.1:8554/NAME"
_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True)
class RtspAddress:
    """Where players find a stream."""

    host: str
    """An IP address, or ``localhost``."""
    port: int
    """0 takes one that is free."""
    name: str
    """Of the stream: one or more words with slashes between."""
    text: str = field(default="", repr=False)
    """As the user gave it; a password may stand in it, or ``${NAME}`` for one."""

    @property
    def url(self) -> str:
        """For a player, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rtsp://{host}:{self.port}/{self.name}"


def parse_rtsp_server(text: str) -> RtspAddress:
    """Returns the address that ``rtsp-server://HOST:PORT/NAME`` names.

    Raises:
        ConfigError: It names none, a variable in it is not set, or others could watch unasked.
    """
    scheme, _, _ = text.partition("://")
    try:
        parts = urlsplit(resolve(text).opened)
        host, port = parts.hostname or "", parts.port
        if scheme.lower() != SCHEME or port is None:
            raise ValueError(text)
        if host != "localhost":
            ipaddress.ip_address(host)
    except ConfigError:
        raise
    except ValueError as exc:
        raise ConfigError(
            f"{shown(text)}: no place to serve a stream at; an IP address, a port and a name are "
            f"needed: {_WANTED}."
        ) from exc
    name = parts.path.strip("/")
    if _NAME.fullmatch(name) is None or parts.query or parts.fragment:
        raise ConfigError(
            f"{shown(text)}: no name for a stream; give one of letters, digits, '-', '_' and '.': "
            f"{_WANTED}."
        )
    if credentials_of(text) is None and not is_loopback(host):
        raise ConfigError(
            f"{shown(text)}: other machines could watch there; use 127.0.0.1, or ask for a "
            f"password: {SCHEME}://USER:${{PASS}}@{parts.netloc}/{name}."
        )
    return RtspAddress(host, port, name, text)


def open_listener(address: RtspAddress) -> socket.socket:
    """Returns a socket that listens at ``address``; the caller closes it.

    Raises:
        ConfigError: The address cannot be had.
    """
    subject = f"{shown(address.text)}: the address"
    return listening.open_listener(address.host, address.port, subject=subject)


def credentials_of(text: str) -> Credentials | None:
    """Returns the user and password in an address as typed, None where there are none.

    Raises:
        ConfigError: A variable in it is not set.
    """
    user_info, at, _ = urlsplit(resolve(text).opened).netloc.rpartition("@")
    user, colon, password = user_info.partition(":")
    return Credentials(unquote(user), unquote(password)) if at and colon and password else None
