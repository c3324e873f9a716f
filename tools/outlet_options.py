"""The options of `maskstream run` that say who else has its figures."""

from pathlib import Path
from typing import Annotated

import typer

from stream.status import Encoding

_PANEL = "Telemetry"

TelemetryOption = Annotated[
    str | None,
    typer.Option(
        metavar="ENDPOINT",
        rich_help_panel=_PANEL,
        help="Publish the figures with ZeroMQ every second, for `maskstream top` and others: "
        "tcp://127.0.0.1:5556 or ipc:///FOLDER/NAME.",
    ),
]
EncodingOption = Annotated[
    Encoding, typer.Option(rich_help_panel=_PANEL, help="Of what --telemetry publishes.")
]
PublicOption = Annotated[
    bool,
    typer.Option(
        "--telemetry-public",
        rich_help_panel=_PANEL,
        help="Let --telemetry take an address that other machines can listen at.",
    ),
]
HttpOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        rich_help_panel=_PANEL,
        help="Serve /metrics (Prometheus), /status (JSON) and /healthz there; port 0 takes a "
        "free one, which --verbose tells.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=_PANEL,
        help="Answer only requests with the token in this file; needed where other machines can "
        "ask.",
    ),
]
