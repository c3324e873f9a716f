"""Where a run's pages are served: addresses, the token that is asked for, the listening socket.

Without the server's packages, so that a command line is checked before those are loaded.
"""

from __future__ import annotations

import ipaddress
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from maskstream.errors import ConfigError
from maskstream.stream.addresses.listening import open_listener

TOKEN_MIN_CHARACTERS = 16


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


def listen(address: HttpAddress, option: str) -> socket.socket:
    """Return a socket that listens at ``address``.

    Args:
        address: Port 0 takes one that is free.
        option: What it was given to, for messages.

    Raises:
        ConfigError: It cannot be had.
    """
    return open_listener(address.host, address.port, subject=f"{option}: {address.shown}")
