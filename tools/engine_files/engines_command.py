"""`maskstream engines`: what can be run by name, and fetching what is not here yet."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskstream.engines.files.zoo import MODEL_HOST, RELEASES, Release, ZooEntry, list_engines

CLASSES_SHOWN_MAX = 5

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="List the engines that have a name, or fetch one.")


@app.callback(invoke_without_command=True)
def engines(
    context: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a list of objects, for programs.")
    ] = False,
) -> None:
    """List the engines that `--engine` takes by name, and those that can be fetched."""
    if context.invoked_subcommand is not None:
        return
    entries = list_engines()
    if as_json:
        print(json.dumps([_facts(entry) for entry in entries], indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    console = Console(highlight=False)
    for entry in entries:
        console.print(_card(entry))
    here = {entry.name for entry in entries}
    absent = [release for release in RELEASES if release.name not in here]
    if absent:
        console.print(
            "\nTo be had by maskstream engines fetch NAME (AP as published, on test-dev):"
        )
        console.print(_releases(absent))


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="Such as yolact-resnet50.")],
    mirror: Annotated[
        str, typer.Option(metavar="URL", help="Where the repositories are; laid out like it.")
    ] = MODEL_HOST,
) -> None:
    """Download released weights, check them, and make an engine of them for `--engine NAME`."""
    from maskstream.tools.engine_files.fetch import fetch_engine, find_release

    path = fetch_engine(find_release(name), mirror, lambda line: print(line, file=sys.stderr))
    print(path)


def _releases(releases: list[Release]) -> "Table":
    """Return what can be fetched, one a row."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for release in releases:
        accuracy = f"COCO mask AP {100 * release.mask_ap:.1f}"
        table.add_row("", release.name, accuracy, release.licence, release.repository)
    return table


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


def _card(entry: ZooEntry) -> "Table":
    """Return one engine's facts, one a row."""
    facts = _facts(entry)
    names = facts["classes"]
    more = len(names) - CLASSES_SHOWN_MAX
    shown = ", ".join(names[:CLASSES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
    scores = ", ".join(f"{name} {100 * value:.1f}" for name, value in facts["ap"].items())
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row(entry.name, str(entry.path), style="bold")
    table.add_row("", f"{facts['family']}, input {facts['input_size']} x {facts['input_size']} px")
    table.add_row("", f"classes: {shown}")
    for title, text in (("AP", scores), ("from", facts["source"]), ("licence", facts["licence"])):
        if text:
            table.add_row("", f"{title}: {text}")
    return table
