"""`maskstream engines`: what can be run by name."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from engines.zoo import ZooEntry, list_engines

CLASSES_SHOWN_MAX = 5


def engines(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a list of objects, for programs.")
    ] = False,
) -> None:
    """List the engines that `--engine` takes by name."""
    entries = list_engines()
    if as_json:
        print(json.dumps([_facts(entry) for entry in entries], indent=2, ensure_ascii=False))
        return
    if not entries:
        print("no engine has a name here; give `maskstream run --engine` the path of one.")
        return
    console = Console(highlight=False)
    for entry in entries:
        console.print(_card(entry))


def _facts(entry: ZooEntry) -> dict[str, Any]:
    """Return what is known of an engine, under the names that programs read."""
    manifest = entry.manifest
    return {
        "name": entry.name,
        "path": str(entry.path),
        "family": manifest.family,
        "classes": list(manifest.class_names),
        "input_size": manifest.input_size,
        "source": manifest.source,
        "licence": manifest.licence,
        "ap": manifest.metrics,
    }


def _card(entry: ZooEntry) -> Table:
    """Return one engine's facts, one a row."""
    facts = _facts(entry)
    names = facts["classes"]
    more = len(names) - CLASSES_SHOWN_MAX
    shown = ", ".join(names[:CLASSES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
    scores = ", ".join(f"{name} {100 * value:.1f}" for name, value in facts["ap"].items())
    table = Table.grid(padding=(0, 2))
    table.add_row(entry.name, str(entry.path), style="bold")
    table.add_row("", f"{facts['family']}, input {facts['input_size']} x {facts['input_size']} px")
    table.add_row("", f"classes: {shown}")
    for title, text in (("AP", scores), ("from", facts["source"]), ("licence", facts["licence"])):
        if text:
            table.add_row("", f"{title}: {text}")
    return table
