"""`maskstream images`: pictures with their objects masked, and the detections in them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from maskstream.stream.arguments import (
    Option,
    PictureArguments,
    RuntimeArguments,
    SelectionArguments,
)
from maskstream.tools.arguments.model_options import check_ranges, with_options_of

SourceArgument = Annotated[
    Path, typer.Argument(metavar="IN", help="A picture, or a folder of pictures.")
]


# The last base's fields come first.
@dataclass(frozen=True, kw_only=True)
class PlaceArguments:
    """Where masked pictures and their detections go."""

    output: Annotated[
        Path | None,
        Option(
            names=("--output", "-o"),
            metavar="OUT",
            help="A picture, or a folder; a new folder is created.",
        ),
    ] = None
    results: Annotated[
        Path | None,
        Option(metavar="FILE.ndjson", help="Write the detections, one JSON object per picture."),
    ] = None
    display: Annotated[
        bool,
        Option(
            names=("--display",),
            help="Show each picture; any key shows the next, q or Esc ends.",
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class ImagesArguments(PictureArguments, SelectionArguments, RuntimeArguments, PlaceArguments):
    """Everything that the command can be asked."""


@with_options_of(ImagesArguments)
def images(source: SourceArgument, **options: Any) -> None:
    """Mask the objects in a picture, or in each picture of a folder.

    A file that cannot be read is named and the others are done; the exit code is 3 then.
    """
    check_ranges(ImagesArguments, options)
    # Loaded when it runs, so that the help is shown at once.
    from maskstream.tools.images.work import mask_pictures

    mask_pictures(source, ImagesArguments(**options))
