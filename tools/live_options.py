"""Options of `maskstream run` that say how live sources are read."""

from typing import Annotated

import typer

from stream.live_open import RtspTransport

_LIVE = "Live sources"

TransportOption = Annotated[
    RtspTransport,
    typer.Option(
        rich_help_panel=_LIVE,
        help="How RTSP cameras send: tcp loses nothing, udp does not wait for what is lost.",
    ),
]
SourceTimeoutOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        rich_help_panel=_LIVE,
        help="How long a live source may be silent before it counts as lost; 1 s if left out, "
        "10 s for http. A camera of less than a frame a second needs more.",
    ),
]
