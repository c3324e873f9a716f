"""The command `maskstream`: its subcommands, and what becomes of an error.

A user's mistake ends in one line on standard error and an exit code, never in a traceback.
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from engines.errors import EngineError
from stream.errors import StreamError
from stream.redact import hide_from_process_list, scrubbed, shown
from tools import (
    bench,
    build,
    devices,
    doctor,
    engines_list,
    evaluate,
    export,
    images,
    import_weights,
    parity,
    quantize,
    run,
    top,
    train_engine,
    tune,
    web_demo,
)
from tools.config import config_app
from tools.data import data_app
from tools.extras import with_install_command
from train.errors import TrainError

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_IN_OUR_WORDS = {
    "Input should be a valid integer, unable to parse string as an integer":
        "a whole number is needed",
    "Input should be a valid number, unable to parse string as a number": "a number is needed",
    "Value error, ": "",
}  # fmt: skip
"""What typer says -> what we say."""

app = typer.Typer(
    name="maskstream",
    help="Instance segmentation on video: every frame comes out with its objects masked.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        # YOLACT's commands write --batch_size, and so do many fingers.
        "token_normalize_func": lambda name: name.replace("_", "-"),
    },
)
app.command("run")(run.run)
app.add_typer(config_app, name="config")
app.command("top")(top.top)
app.command("doctor")(doctor.doctor)
app.add_typer(engines_list.app, name="engines")
app.command("devices")(devices.devices)
app.command("images")(images.images)
app.add_typer(data_app, name="data")
app.command("train")(train_engine.train)
app.command("tune")(tune.tune)
app.command("eval")(evaluate.evaluate)
app.command("export")(export.export)
app.command("build")(build.build)
app.command("import")(import_weights.import_weights)
app.command("quantize")(quantize.quantize)
app.command("parity")(parity.parity)
app.command("bench")(bench.bench)
app.command("web-demo")(web_demo.web_demo)
_COMMAND_NAMES = [
    *(command.name for command in app.registered_commands),
    *(group.name for group in app.registered_groups),
]


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
            print(_usage_line(exc, arguments), file=sys.stderr)
        return exc.exit_code
    except StreamError as exc:
        # One line for each mistake, where several were found at once.
        for line in with_install_command(str(exc)).splitlines():
            print(f"maskstream: {scrubbed(line)}", file=sys.stderr)
        return exc.exit_code
    except (EngineError, TrainError) as exc:
        print(f"maskstream: {with_install_command(str(exc))}", file=sys.stderr)
        return EXIT_USAGE
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED


def _usage_line(exc: typer.TyperException, arguments: list[str]) -> str:
    """Return what is wrong with a command line, and where its options are listed, in one line."""
    context = getattr(exc, "ctx", None)
    # An option without its value does not say which command it stands in.
    named = [name for name in arguments[:1] if context is None and name in _COMMAND_NAMES]
    command = context.command_path if context is not None else " ".join(["maskstream", *named])
    message = scrubbed(exc.format_message())
    for theirs, ours in _IN_OUR_WORDS.items():
        message = message.replace(theirs, ours)
    reason = " ".join(message.split()).rstrip(".")
    if reason.startswith("No such command") and _is_source(arguments[0]):
        reason = f"No such command; did you mean maskstream run {shown(arguments[0])}?"
    return f"{command}: {reason}{' ' if reason.endswith('?') else '; '}see {command} --help."


def _is_source(text: str) -> bool:
    """Whether somebody left out `run` before what is to be run."""
    return "://" in text or Path(text).exists()
