"""`maskstream config`: a file of sources and options is checked, described and explained."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from maskstream.stream.addresses.redact import scrubbed
from maskstream.stream.arguments import RunArguments
from maskstream.tools.arguments.model_options import given_on_command_line, with_options_of

# What the commands do is loaded when they run, so that their help is shown at once.

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE.toml", show_default=False, help="What --config takes.")
]
SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE", show_default=False, help="Instead of the sources in the file."
    ),
]

config_app = typer.Typer(
    no_args_is_help=True,
    help="""Check and explain a file of sources and options for `maskstream run --config`.

    \b
    A file may look like this:
      outputs = ["http://127.0.0.1:8080", "rec"]        # options by their names
      score = 0.4
      [[source]]                                          # one for each source
      name = "door"
      uri = "rtsp://viewer:${CAM_PASS}@camera/stream"   # from the environment
      [[source]]
      uri = "clips/street.mp4"                          # from this file's folder
      outputs = ["street-masked.mp4"]                   # instead of the run's

    \b
    A source can have of its own: name, outputs, results, policy, max_frames,
    timeout, rtsp_transport, batch_share. What is typed beside --config goes first.
    """,
)


@config_app.command("check")
@with_options_of(RunArguments)
def check(
    context: typer.Context, file: FileArgument, sources: SourcesArgument = None, **options: Any
) -> None:
    """Find every mistake in a file, without running it; exit code 2 where there is one."""
    from maskstream.tools.run.look import look_at_file

    _, checked, look = look_at_file(file, sources or [], given_on_command_line(context, options))
    for note in (*checked.notes, *look.notes):
        print(f"{file}: note: {scrubbed(note)}")
    count = len(checked.options.sources)
    print(f"{file}: no mistake found; {count} source{'s' if count > 1 else ''} can be run.")


@config_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of a file, with which editors complete and check it.

    Save it, and name it in the file's first line: `#:schema pipeline.schema.json`.
    """
    from maskstream.tools.run.config_keys import build_schema

    print(json.dumps(build_schema(), indent=2))


@config_app.command("explain")
@with_options_of(RunArguments)
def explain(
    context: typer.Context, file: FileArgument, sources: SourcesArgument = None, **options: Any
) -> None:
    """Show what would run, and where each value comes from."""
    from maskstream.tools.run.config_explain import explain_request
    from maskstream.tools.run.look import look_at_file

    given = given_on_command_line(context, options)
    explain_request(*look_at_file(file, sources or [], given))
