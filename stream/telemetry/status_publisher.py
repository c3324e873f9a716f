"""A run's figures on ZeroMQ, for any number of subscribers; a slow one never delays the run."""

from __future__ import annotations

from maskstream.errors import ConfigError
from maskstream.stream.arguments import Encoding
from maskstream.stream.network.zmq_socket import Endpoint, PubSocket
from maskstream.stream.telemetry.status import STATUS_VERSION, Status, encode_status

TOPIC = f"maskstream.status.{STATUS_VERSION}".encode()
_UNREAD_MAX = 4
"""Documents kept for a subscriber that does not read; older ones are dropped."""


class Publisher:
    """Publishes the figures of this process's run."""

    def __init__(
        self, endpoint: Endpoint, *, encoding: Encoding = "json", is_public: bool = False
    ) -> None:
        """Take the endpoint.

        Args:
            endpoint: Its socket file's folder is made, for this user alone, where it is missing.
            encoding: Of the documents.
            is_public: Whether an address may be taken that other machines can reach.

        Raises:
            ConfigError: The endpoint cannot be had, or others could reach it unasked.
        """
        if not endpoint.is_loopback and not is_public:
            raise ConfigError(
                f"{endpoint.address}: other machines could read the figures there; use 127.0.0.1, "
                "or allow it with --telemetry-public."
            )
        self.endpoint = endpoint
        self._encoding = encoding
        self._socket = PubSocket(endpoint, unread_max=_UNREAD_MAX)

    def publish(self, status: Status) -> None:
        """Hand a document to whoever listens; never waits for any of them."""
        self._socket.send([TOPIC, self._encoding.encode(), encode_status(status, self._encoding)])

    def close(self) -> None:
        """Give the endpoint back."""
        self._socket.close()
