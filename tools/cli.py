"""The command `maskstream`: its subcommands, and what becomes of an error.

A user's mistake ends in one line on standard error and an exit code, never in a traceback.
"""

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from maskstream.errors import MaskstreamError
from maskstream.stream.addresses.redact import hide_from_process_list, scrubbed, shown
from maskstream.tools.arguments.extras import with_install_command

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_IN_OUR_WORDS = {
    "Input should be a valid integer, unable to parse string as an integer":
        "a whole number is needed",
    "Input should be a valid number, unable to parse string as a number": "a number is needed",
    "Value error, ": "",
}  # fmt: skip
"""What typer says -> what we say."""

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("maskstream.tools.run.command", "run"),
    "config": ("maskstream.tools.run.config_command", "config_app"),
    "top": ("maskstream.tools.top", "top"),
    "doctor": ("maskstream.tools.doctor.command", "doctor"),
    "engines": ("maskstream.tools.engine_files.engines_command", "app"),
    "devices": ("maskstream.tools.devices", "devices"),
    "images": ("maskstream.tools.images", "images"),
    "data": ("maskstream.tools.datasets.command", "data_app"),
    "train": ("maskstream.tools.training.train_command", "train"),
    "tune": ("maskstream.tools.training.tune_command", "tune"),
    "eval": ("maskstream.tools.training.eval_command", "evaluate"),
    "export": ("maskstream.tools.engine_files.export_command", "export"),
    "build": ("maskstream.tools.engine_files.build_command", "build"),
    "import": ("maskstream.tools.engine_files.import_command", "import_weights"),
    "quantize": ("maskstream.tools.engine_files.quantize_command", "quantize"),
    "parity": ("maskstream.tools.engine_files.parity_command", "parity"),
    "bench": ("maskstream.tools.measuring.command", "bench"),
    "web-demo": ("maskstream.tools.web_demo.command", "web_demo"),
}
"""Module and what in it is the command, by name, in the order of the help."""


def _normalized(name: str) -> str:
    """Return a name as we write it; YOLACT's commands say --batch_size, and so do many fingers."""
    return name.replace("_", "-")


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"maskstream {version('maskstream')}")
        raise typer.Exit


def _common(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and leave."
        ),
    ] = False,
) -> None:
    """Options that stand before the subcommand."""


def make_app(names: Iterable[str]) -> typer.Typer:
    """Return the command line with these commands."""
    app = typer.Typer(
        name="maskstream",
        help="Instance segmentation on video: every frame comes out with its objects masked.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "token_normalize_func": _normalized,
        },
    )
    app.callback()(_common)
    for name in names:
        module, attribute = COMMANDS[name]
        command = getattr(import_module(module), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _needed(arguments: list[str]) -> Iterable[str]:
    """Return the commands that a command line may mean: loading all of them takes a second."""
    first = _normalized(arguments[0]) if arguments else ""
    if first in COMMANDS:
        return (first,)
    return () if first == "--version" else COMMANDS


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
        app = make_app(_needed(arguments))
        return app(arguments, prog_name="maskstream", standalone_mode=False) or 0
    except typer.TyperException as exc:
        if exc.format_message():  # empty where the help was shown for want of a command
            print(_usage_line(exc, arguments), file=sys.stderr)
        return exc.exit_code
    except MaskstreamError as exc:
        # One line for each mistake, where several were found at once; details are indented.
        for line in with_install_command(str(exc)).splitlines():
            prefix = "" if line.startswith(" ") else "maskstream: "
            print(f"{prefix}{scrubbed(line)}", file=sys.stderr)
        return exc.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED


def _usage_line(exc: typer.TyperException, arguments: list[str]) -> str:
    """Return what is wrong with a command line, and where its options are listed, in one line."""
    context = getattr(exc, "ctx", None)
    # An option without its value does not say which command it stands in.
    named = [name for name in arguments[:1] if context is None and name in COMMANDS]
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
