"""What a run can be asked: the one list behind the command's options and the keys of a file.

Each field of ``RunSettings`` is an option of `maskstream run`, and a key of ``pipeline.toml`` with
the option's name. What is left out has the field's default.
"""

from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict, Field

from maskstream.stream.options import MAX_BATCH, Policy, RtspTransport
from maskstream.tools.arguments import model_options
from maskstream.tools.arguments.engine_options import EngineSettings
from maskstream.tools.arguments.model_options import with_options_of
from maskstream.tools.run.live_options import TIMEOUT_MAX_S, TIMEOUT_MIN_S, LiveSettings
from maskstream.tools.run.outlet_options import OutletSettings
from maskstream.tools.run.output_options import OutputSettings

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FlowSettings(BaseModel):
    """How frames go through the line."""

    policy: Annotated[
        Policy | None,
        typer.Option(
            help="While the line is busy, block waits and latest leaves out all but the newest "
            "frame. If left out, files block and live sources take the latest.",
        ),
    ] = None
    max_frames: Annotated[
        int | None,
        typer.Option(help="End after so many frames of each source."),
        Field(ge=1),
    ] = None


# The last base's fields come first.
class RunSettings(OutletSettings, LiveSettings, EngineSettings, OutputSettings, FlowSettings):
    """Every option that a file can set as well."""

    model_config = _STRICT


class SourceSettings(BaseModel):
    """One source, and what it has of its own; what is left out is as for the whole run."""

    model_config = _STRICT

    uri: Annotated[
        str,
        Field(
            min_length=1,
            description="A video file, a folder or pattern, a camera such as 0, or an address; "
            "paths are relative to this file, and ${NAME} takes a password from the environment.",
        ),
    ]
    name: Annotated[
        str | None, Field(min_length=1, description="What it is called, once in the file.")
    ] = None
    outputs: Annotated[
        list[str] | None, Field(description="Instead of the run's outputs; an empty list is null:.")
    ] = None
    results: Annotated[
        list[str] | None, Field(description="Instead of the run's places for results.")
    ] = None
    policy: Annotated[Policy | None, Field(description="Instead of the run's policy.")] = None
    max_frames: Annotated[int | None, Field(ge=1, description="It ends after so many.")] = None
    timeout: Annotated[
        float | None,
        Field(
            ge=TIMEOUT_MIN_S,
            le=TIMEOUT_MAX_S,
            description="Instead of the run's source_timeout, in seconds.",
        ),
    ] = None
    rtsp_transport: Annotated[
        RtspTransport | None, Field(description="Instead of the run's rtsp_transport.")
    ] = None
    batch_share: Annotated[
        int | None, Field(ge=1, le=MAX_BATCH, description="Most of its frames in a batch.")
    ] = None


class PipelineSettings(RunSettings):
    """A whole file."""

    source: Annotated[
        list[SourceSettings], Field(description="One table [[source]] for each source.")
    ] = []


OVERRIDES = {
    "outputs": "outputs",
    "results": "results",
    "policy": "policy",
    "max_frames": "max_frames",
    "timeout": "source_timeout",
    "rtsp_transport": "rtsp_transport",
}
"""Keys of a source -> the run's option that stands in where the source has no own value."""


with_run_options = with_options_of(RunSettings)
"""A decorator that puts every option of a run in place of a command's ``**options``."""


def option_of(name: str) -> str:
    """Return the option that sets a field: ``--max-frames`` for ``max_frames``."""
    return model_options.option_of(RunSettings, name)


def help_of(name: str) -> str:
    """Return what an option's help says."""
    return model_options.parameter_info(RunSettings, name).help or ""
