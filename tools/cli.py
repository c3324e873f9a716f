"""The command `maskstream`: its subcommands, and what becomes of an error.

A user's mistake ends in one line on standard error and an exit code, never in a traceback.
"""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from engines.errors import EngineError
from stream.errors import StreamError
from stream.redact import hide_from_process_list, scrubbed
from tools import bench, devices, doctor, engines_list, evaluate, export, run, top, train_engine
from train.errors import TrainError

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="maskstream",
    help="Instance segmentation on video: every frame comes out with its objects masked.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("top")(top.top)
app.command("doctor")(doctor.doctor)
app.command("engines")(engines_list.engines)
app.command("devices")(devices.devices)
app.command("train")(train_engine.train)
app.command("eval")(evaluate.evaluate)
app.command("export")(export.export)
app.command("bench")(bench.bench)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"maskstream {version('maskstream')}")
        raise typer.Exit


@app.callback()
def _common(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and leave."
        ),
    ] = False,
) -> None:
    """Options that stand before the subcommand."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    hide_from_process_list(sys.argv[1:])
    sys.exit(run_command_line(sys.argv[1:]))


def run_command_line(arguments: list[str]) -> int:
    """Run one command line; returns the exit code.

    Args:
        arguments: Without the program's name.
    """
    try:
        return app(arguments, prog_name="maskstream", standalone_mode=False) or 0
    except typer.TyperException as exc:
        if exc.format_message():  # empty where the help was shown for want of a command
            print(_usage_line(exc), file=sys.stderr)
        return exc.exit_code
    except StreamError as exc:
        print(f"maskstream: {scrubbed(str(exc))}", file=sys.stderr)
        return exc.exit_code
    except (EngineError, TrainError) as exc:
        print(f"maskstream: {exc}", file=sys.stderr)
        return EXIT_USAGE
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED


def _usage_line(exc: typer.TyperException) -> str:
    """Return what is wrong with a command line, and where its options are listed, in one line."""
    context = getattr(exc, "ctx", None)
    command = "maskstream" if context is None else context.command_path
    message = scrubbed(exc.format_message())
    reason = " ".join(message.replace("Value error, ", "").split()).rstrip(".")
    return f"{command}: {reason}{' ' if reason.endswith('?') else '; '}see {command} --help."
