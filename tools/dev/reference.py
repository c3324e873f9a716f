"""The page of commands and options: `python -m maskstream.tools.dev.reference` writes it.

It is made from the commands themselves, so that it says what they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from maskstream.tools.cli import COMMANDS, make_app

PATH = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"
_HEAD = """# Commands and options

Made from the commands; `python -m maskstream.tools.dev.reference` writes this page.

Every option of `maskstream run` is also a key of a [pipeline file](../pipeline-file.md) and a
keyword of [`maskstream.open`](../python.md), by its name with `_` for `-`.
"""


def reference() -> str:
    """Return the page."""
    root: Any = typer.main.get_command(make_app(COMMANDS))
    parts = [_HEAD]
    for name, command in _commands(root, "maskstream"):
        parts.append(f"## `{name}`\n\n{_text(command.help or '')}\n\n{_table(command)}")
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with the words that it is called by."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from _commands(child, f"{path} {name}")


def _text(text: str) -> str:
    """Return a help text as Markdown; what is laid out by hand stays as it is."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        if block.lstrip().startswith("\b"):
            lines = block.replace("\b", "").strip("\n").splitlines()
            blocks.append("```text\n" + "\n".join(lines) + "\n```")
        else:
            blocks.append(" ".join(block.split()))
    return "\n\n".join(blocks)


def _table(command: Any) -> str:
    """Return the arguments and options of a command as a table."""
    rows = []
    for parameter in command.params:
        if parameter.hidden or parameter.name == "help":
            continue
        is_option = hasattr(parameter, "is_flag")
        names = [*parameter.opts, *parameter.secondary_opts]
        shown = names if is_option else [parameter.metavar or parameter.name.upper()]
        help_text = " ".join((parameter.help or "").split()).replace("|", "\\|")
        cells = (", ".join(f"`{name}`" for name in shown), _kind(parameter), help_text)
        rows.append(f"| {' | '.join(cells)} | {_default(parameter)} |")
    if not rows:
        return ""
    return "\n".join(["| | value | meaning | default |", "|---|---|---|---|", *rows])


def _kind(parameter: Any) -> str:
    """Return what an option takes; nothing for a flag or an argument."""
    if getattr(parameter, "is_flag", True):
        return ""
    annotation = parameter.type_descriptor.annotation
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    kinds = {int: "N", float: "NUMBER", Path: "FILE"}
    shown = parameter.metavar or kinds.get(annotation, "TEXT")
    return f"`{shown}`".replace("|", "\\|")


def _default(parameter: Any) -> str:
    """Return a parameter's default where it has one worth showing."""
    value = parameter.default
    if value is None or value is False or not isinstance(value, bool | int | float | str):
        return ""
    return f"`{'yes' if value is True else value}`"


if __name__ == "__main__":
    PATH.write_text(reference(), encoding="utf-8")
