"""The sockets that a run's servers are reached at."""

from __future__ import annotations

import os
import socket

from maskstream.errors import ConfigError

_BACKLOG = 64


def open_listener(host: str, port: int, *, subject: str) -> socket.socket:
    """Return a socket that listens; the caller closes it.

    Args:
        host: An IP address, or a name of this machine.
        port: 0 takes one that is free.
        subject: What the address was given to, and the address, for messages.

    Raises:
        ConfigError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as exc:
        raise ConfigError(
            f"{subject} cannot be taken ({os.strerror(exc.errno or 0)}); use another address or "
            "port."
        ) from exc
