"""Options of `maskstream run` that say how live sources are read, and what faults do."""

from typing import Annotated

import typer
from pydantic import BaseModel, Field

from maskstream.stream.options import RtspTransport

TIMEOUT_MIN_S = 0.1
TIMEOUT_MAX_S = 3600
_LIVE = "Live sources"
_FAULTS = "Faults"


class LiveSettings(BaseModel):
    """How live sources are read, and what is done about faults."""

    rtsp_transport: Annotated[
        RtspTransport,
        typer.Option(
            rich_help_panel=_LIVE,
            help="How RTSP cameras send: tcp loses nothing, udp does not wait for what is lost.",
        ),
    ] = "tcp"
    source_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            rich_help_panel=_LIVE,
            help="How long a live source may be silent before it counts as lost; 1 s if left out, "
            "10 s for http. A camera of less than a frame a second needs more.",
        ),
        Field(ge=TIMEOUT_MIN_S, le=TIMEOUT_MAX_S),
    ] = None
    restart: Annotated[
        bool | None,
        typer.Option(
            "--restart/--no-restart",
            rich_help_panel=_FAULTS,
            help="Start a stage that dies anew; if left out, where a source is live.",
        ),
    ] = None
    chaos: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            rich_help_panel=_FAULTS,
            help="Make faults on purpose, with commas between: kill=infer@10s, "
            "stall=capture:5s@20s, drop=0.02.",
        ),
    ] = None
