"""The command `maskstream`: its subcommands, and what becomes of an error.

A user's mistake ends in one line on standard error and an exit code, never in a traceback. Only the
command that was asked for is loaded, and none for the list of them.
"""

import os
import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from maskstream.errors import MaskstreamError
from maskstream.stream.addresses.redact import hide_from_process_list, scrubbed, shown
from maskstream.tools.arguments.extras import with_install_command
from maskstream.tools.plain_help import PlainCommand, PlainGroup
from maskstream.tools.standard_streams import lost_output, prepare_streams

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_IN_OUR_WORDS = {
    "Input should be a valid integer, unable to parse string as an integer":
        "a whole number is needed",
    "Input should be a valid number, unable to parse string as a number": "a number is needed",
    "Value error, ": "",
}  # fmt: skip
"""What typer says -> what we say."""


class _Command(NamedTuple):
    module: str
    """Below ``maskstream.tools``."""
    attribute: str
    help: str
    """The first line of its own help."""


COMMANDS: Mapping[str, _Command] = {
    "run": _Command(
        "run.command",
        "run",
        "Mask the objects in every frame of a video, and report where the time went.",
    ),
    "config": _Command(
        "run.config_command",
        "config_app",
        "Check and explain a file of sources and options for `maskstream run --config`.",
    ),
    "top": _Command(
        "top", "top", "Show the figures of one or several runs, until they are over or Ctrl-C."
    ),
    "doctor": _Command(
        "doctor.command",
        "doctor",
        "Look at codecs, encoders, GPU, OpenVINO, engines, memory, disk, display and cameras.",
    ),
    "engines": _Command(
        "engine_files.engines_command",
        "app",
        "List the engines that have a name, or fetch one.",
    ),
    "devices": _Command(
        "devices", "devices", "List the cameras with their formats, sizes and rates."
    ),
    "images": _Command(
        "images.command",
        "images",
        "Mask the objects in a picture, or in each picture of a folder.",
    ),
    "data": _Command(
        "datasets.command", "data_app", "Convert, check, show, divide and fetch labelled pictures."
    ),
    "train": _Command(
        "training.train_command",
        "train",
        "Train a network; `maskstream export` makes an engine of it.",
    ),
    "tune": _Command(
        "training.tune_command",
        "tune",
        "Search for the options of `maskstream train` that score best on --val.",
    ),
    "eval": _Command(
        "training.eval_command",
        "evaluate",
        "Measure an engine's box and mask AP by COCO's rules, with pycocotools.",
    ),
    "export": _Command(
        "engine_files.export_command",
        "export",
        "Write one ONNX file: weights, graph and a manifest, for every backend.",
    ),
    "build": _Command(
        "engine_files.build_command",
        "build",
        "Build an engine for an NVIDIA GPU with TensorRT; Ctrl-C ends the build.",
    ),
    "import": _Command(
        "engine_files.import_command",
        "import_weights",
        "Read files of weights strictly, and write an ONNX file with graph and manifest.",
    ),
    "quantize": _Command(
        "engine_files.quantize_command",
        "quantize",
        "Make an INT8 engine: half as large, quicker on some processors, a little less exact.",
    ),
    "parity": _Command(
        "engine_files.parity_command",
        "parity",
        "Give two engines the same frames, and leave with exit code 1 if they differ too much.",
    ),
    "bench": _Command(
        "measuring.command", "bench", "Measure an engine and the whole pipeline on this machine."
    ),
    "web-demo": _Command(
        "web_demo.command",
        "web_demo",
        "Serve a page to try engines on pictures, clips and the browser's camera.",
    ),
}
"""The commands by name, in the order of the help."""


def _normalized(name: str) -> str:
    """Return a name as we write it; YOLACT's commands say --batch_size, and so do many fingers."""
    return name.replace("_", "-")


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version

        print(f"maskstream {version('maskstream')}")
        raise typer.Exit


def _common(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options that stand before the subcommand."""


def load_command(name: str) -> Callable[..., Any] | typer.Typer:
    """Return a command's function, or the group of its subcommands."""
    entry = COMMANDS[name]
    module = import_module(f"maskstream.tools.{entry.module}")
    loaded: Callable[..., Any] | typer.Typer = getattr(module, entry.attribute)
    return loaded


def make_app(wanted: Collection[str]) -> typer.Typer:
    """Return the command line, with these commands loaded and the others by name alone."""
    app = typer.Typer(
        name="maskstream",
        cls=PlainGroup,
        help="Instance segmentation on video: every frame comes out with its objects masked.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "token_normalize_func": _normalized,
        },
    )
    app.callback()(_common)
    for name, entry in COMMANDS.items():
        if name not in wanted:
            app.command(name, help=entry.help)(_not_loaded)
            continue
        command = load_command(name)
        if isinstance(command, typer.Typer):
            command.rich_markup_mode = None
            for child in command.registered_commands:
                child.cls = PlainCommand
            app.add_typer(command, name=name, cls=PlainGroup)
        else:
            app.command(name, cls=PlainCommand)(command)
    return app


def _not_loaded() -> None:
    """Stand in for a command in the list of them."""
    raise AssertionError("a command is loaded before it is called")


def main() -> None:
    """Run the command line and leave with its exit code."""
    prepare_streams()
    hide_from_process_list(sys.argv[1:])
    code = run_command_line(sys.argv[1:])
    # What a run prints is a courtesy; of other commands it is what was asked for.
    reason = lost_output()
    if reason and not code and sys.argv[1:2] != ["run"]:
        print(f"maskstream: standard output: cannot be written ({reason}).", file=sys.stderr)
        code = MaskstreamError.exit_code
    sys.exit(code)


def run_command_line(arguments: list[str]) -> int:
    """Run one command line; returns the exit code.

    Args:
        arguments: Without the program's name.
    """
    try:
        app = make_app([_normalized(word) for word in (arguments or _words_to_complete())[:1]])
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
    except Exception as exc:
        if sys.flags.dev_mode:
            raise
        print(_unexpected_line(exc, arguments), file=sys.stderr)
        return MaskstreamError.exit_code


def _words_to_complete() -> list[str]:
    """Return what is on a shell's command line so far, where the shell asks how to complete it."""
    text = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS") or ""
    return text.split()[1:]


def _unexpected_line(exc: Exception, arguments: list[str]) -> str:
    """Return one line about an error that nothing expected, with the file that it is about."""
    named = getattr(exc, "filename", None) or next(filter(_is_file, arguments[1:]), None)
    subject = f"{shown(os.fsdecode(named))}: " if isinstance(named, str | bytes | Path) else ""
    text = " ".join(str(getattr(exc, "strerror", None) or exc).split())
    reason = f"{type(exc).__name__}: {text}" if text else type(exc).__name__
    return scrubbed(
        f"maskstream {arguments[0]}: {subject}{reason.rstrip('.')}; for where in the code, run "
        f"python -X dev -m maskstream {arguments[0]} ..."
    )


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


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
    """Whether `run` was left out before what is to be run."""
    return "://" in text or Path(text).exists()
