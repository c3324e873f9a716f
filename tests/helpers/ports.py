"""Ports that nobody listens at."""

import socket


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.socket(type=kind) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
