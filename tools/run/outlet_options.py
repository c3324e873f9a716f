"""Options of `maskstream run` that say who else has its figures, and what is logged."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from maskstream.stream.telemetry.status import Encoding

_PANEL = "Telemetry and logs"


class OutletSettings(BaseModel):
    """Who else has the run's figures."""

    telemetry: Annotated[
        str | None,
        typer.Option(
            metavar="ENDPOINT",
            rich_help_panel=_PANEL,
            help="Publish the figures with ZeroMQ every second, for `maskstream top` and others: "
            "tcp://127.0.0.1:5556 or ipc:///FOLDER/NAME.",
        ),
    ] = None
    telemetry_format: Annotated[
        Encoding, typer.Option(rich_help_panel=_PANEL, help="Of what --telemetry publishes.")
    ] = "json"
    telemetry_public: Annotated[
        bool,
        typer.Option(
            "--telemetry-public",
            rich_help_panel=_PANEL,
            help="Let --telemetry take an address that other machines can listen at.",
        ),
    ] = False
    status_http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            rich_help_panel=_PANEL,
            help="Serve /metrics (Prometheus), /status (JSON) and /healthz there; port 0 takes a "
            "free one, which --verbose tells.",
        ),
    ] = None
    status_token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=_PANEL,
            help="Answer only requests with the token in this file; needed where other machines "
            "can ask.",
        ),
    ] = None
    log_json: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            rich_help_panel=_PANEL,
            help="Add each event to this file as a line of JSON; - writes nothing else to "
            "standard error.",
        ),
    ] = None
