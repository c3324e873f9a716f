"""Where a run's figures go beside the terminal and the report: ZeroMQ, and pages over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from maskstream.errors import ConfigError
from maskstream.stream.arguments import Encoding
from maskstream.stream.telemetry.snapshot import Event, RunState, Snapshot
from maskstream.stream.telemetry.status import Status, build_status

PERIOD_S = 1.0
"""Figures go out so often, and at each change of the run's state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryOptions:
    """Who else is to have the figures."""

    telemetry: str | None = None
    """ZeroMQ endpoint to publish at."""
    encoding: Encoding = "json"
    """Of what is published."""
    is_public: bool = False
    """Whether it may be published where other machines can listen."""
    http: str | None = None
    """``HOST:PORT`` to serve ``/metrics``, ``/status`` and ``/healthz`` at."""
    token_file: Path | None = None
    """Holds the token that who asks over HTTP has to show."""

    def check(self) -> None:
        """Check what can be checked without opening anything.

        Raises:
            ConfigError: Something is asked for that has no use without something else.
        """
        if self.telemetry is None and self.is_public:
            raise ConfigError("--telemetry-public: nothing is published; add --telemetry ENDPOINT.")
        if self.http is None and self.token_file is not None:
            raise ConfigError(
                "--status-token-file: nothing is served; add --status-http HOST:PORT."
            )


class _Publisher(Protocol):
    def publish(self, status: Status) -> None: ...

    def close(self) -> None: ...


class TelemetryService:
    """All telemetry of this process's run. None of them can hold it up."""

    def __init__(self, options: TelemetryOptions, *, tell: Callable[[Event], None]) -> None:
        """Open them. To be called from the main thread, before anything else starts.

        Args:
            options: Which ones.
            tell: Told where the figures are, and what goes wrong with them later.

        Raises:
            ConfigError: One cannot be had.
        """
        options.check()
        self.url: str | None = None
        """Where pages are served; None where they are not."""
        self._publishers: list[_Publisher] = []
        self._due_s = 0.0
        self._state: RunState | None = None
        with ExitStack() as opened:
            opened.callback(self.close)
            if options.telemetry is not None:
                self._open_publisher(options.telemetry, options)
            if options.http is not None:
                self._open_server(options.http, options, tell)
            opened.pop_all()

    def show(self, figures: Snapshot) -> None:
        """Take a run's figures, often; they go out when it is time."""
        now_s = time.monotonic()
        if not self._publishers or (now_s < self._due_s and figures.state == self._state):
            return
        # A tick that comes a little late does not put off all that follow.
        is_on_time = self._due_s <= now_s < self._due_s + PERIOD_S
        self._due_s = (self._due_s if is_on_time else now_s) + PERIOD_S
        self._state = figures.state
        status = build_status(figures)
        for publisher in self._publishers:
            publisher.publish(status)

    def close(self) -> None:
        """Give all of them back."""
        while self._publishers:
            self._publishers.pop().close()

    # Imported when first used: most runs have no publisher.

    def _open_publisher(self, endpoint: str, options: TelemetryOptions) -> None:
        from maskstream.stream.network.zmq_socket import parse_endpoint
        from maskstream.stream.telemetry.status_publisher import Publisher

        self._publishers.append(
            Publisher(
                parse_endpoint(endpoint), encoding=options.encoding, is_public=options.is_public
            )
        )

    def _open_server(
        self, address: str, options: TelemetryOptions, tell: Callable[[Event], None]
    ) -> None:
        from maskstream.stream.addresses.http_address import parse_address, read_token
        from maskstream.stream.telemetry.http_status import StatusServer

        token = None if options.token_file is None else read_token(options.token_file)
        server = StatusServer(
            parse_address(address), token=token, warn=lambda text: tell(Event("warning", text))
        )
        self._publishers.append(server)
        self.url = server.url
        tell(Event("info", f"figures at {self.url}/metrics, /status and /healthz"))
