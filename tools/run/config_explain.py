"""What a request would run, as tables: sources, options with their origins, memory and threads."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from maskstream.stream.addresses.redact import scrubbed, shown
from maskstream.stream.arguments import SOURCE_OVERRIDES, RunArguments, arguments_of
from maskstream.stream.delivery import NULL_OUTPUT
from maskstream.stream.options import RunOptions
from maskstream.stream.sources.live_open import is_live
from maskstream.tools.run.look import Look
from maskstream.tools.run.request import Request
from maskstream.tools.run.request_checks import Checked

_WIDE_CELLS = 200
"""Where the output is no terminal: lines are for programs then, and are not broken."""


def explain_request(request: Request, checked: Checked, look: Look) -> None:
    """Print what would run on standard output."""
    width = None if sys.stdout.isatty() else _WIDE_CELLS
    console = Console(highlight=False, width=width)
    for table in (_sources(request, checked, look), _options(request)):
        console.print(table)
        console.print()
    console.print(_needs(checked, look))
    for note in (*checked.notes, *look.notes):
        console.print(Text(f"note: {scrubbed(note)}"), soft_wrap=True)


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _sources(request: Request, checked: Checked, look: Look) -> Table:
    """Return what becomes of each source: a line with its name and place, and what it has."""
    options = checked.options
    table = Table.grid(padding=(0, 2, 0, 0))
    for source_id, uri in enumerate(options.sources):
        own = options.of(source_id)
        deliveries = options.deliveries if own.deliveries is None else own.deliveries
        outputs = [place.text for place in deliveries if not place.is_results]
        results = [place.text for place in deliveries if place.is_results]
        frames = own.max_frames or options.max_frames
        place = request.where("source", checked.origins[source_id]) or "command line"
        facts = {
            "uri": shown(uri),
            "picture": _picture(source_id, look),
            "policy": _policy(source_id, options, look),
            "goes to": _listed(outputs) or NULL_OUTPUT,
            "results": _listed(results) or "-",
            "ends": f"after {frames} frames" if frames else "with the source",
            "pool": _pool(source_id, look),
        }
        name = f"source {source_id + 1}"
        table.add_row(name, Text(f"{own.name}, {place}" if own.name else place), style="bold")
        for title, text in facts.items():
            table.add_row(f"  {title}", Text(text, overflow="fold"))
    return table


def _picture(source_id: int, look: Look) -> str:
    if look.plan is None:
        return "not there"
    info = look.plan.infos[source_id]
    rate = "" if info.frame_rate is None else f", {info.frame_rate:.4g}/s"
    size = f"{info.width}x{info.height}{rate}"
    # A live source that is not there has a presumed size, and no codec.
    return f"{info.kind} {size}" if info.codec else f"not there; {size} presumed"


def _policy(source_id: int, options: RunOptions, look: Look) -> str:
    policy = options.of(source_id).policy or options.policy
    if policy is not None:
        return policy
    kind = "live" if is_live(options.sources[source_id]) else "file"
    if look.plan is not None:
        kind = look.plan.infos[source_id].kind
    return "latest (default)" if kind == "live" else "block (default)"


def _pool(source_id: int, look: Look) -> str:
    if look.plan is None:
        return "-"
    slot_bytes = look.plan.layout(source_id).slot_bytes
    count = look.plan.slot_count
    return f"{count} frames of {slot_bytes / (1 << 20):.1f} MiB"


def _options(request: Request) -> Table:
    """Return a row for each option of the run: its value, and where that comes from."""
    table = _table("option", "value", "from")
    for name in arguments_of(RunArguments):
        value = getattr(request.arguments, name)
        where = "command line" if name in request.given else request.where(name) or "default"
        style = "dim" if where == "default" else ""
        table.add_row(*(Text(text) for text in (name, _shown_value(value), where)), style=style)
        for index, key in _own_values(request, name):
            own = getattr(request.arguments.source[index], key)
            place = request.where("source", index, key)
            row = (f"  source {index + 1}: {key}", _shown_value(own), place)
            table.add_row(*map(Text, row))
    return table


def _own_values(request: Request, name: str) -> Iterable[tuple[int, str]]:
    """Yield the sources with a value of their own for an option, and their key for it."""
    for key, option in SOURCE_OVERRIDES.items():
        if option == name:
            for index, source in enumerate(request.arguments.source):
                if getattr(source, key) is not None:
                    yield index, key


def _shown_value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return (_listed(value) or "none") if isinstance(value, list) else shown(str(value))


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(shown(text) for text in texts)


def _needs(checked: Checked, look: Look) -> Text:
    """Return the engine, and what the run takes of the machine."""
    plan = look.plan
    if plan is None:
        return Text(f"engine {checked.options.engine}; the pools are known once a source is there")
    manifest, threads = plan.manifest, plan.threads
    source_count = len(plan.infos)
    batch = plan.settings("infer", tuple(range(source_count))).batch
    if batch is None:
        batch = "chosen when the engine is loaded"
    if checked.options.batch is None:
        batch = f"{batch} (default)"
    return Text(
        f"engine   {manifest.name} ({manifest.family}, input {manifest.input_size} x "
        f"{manifest.input_size} px), {plan.engine_path}\n"
        f"batch    {batch}\n"
        f"memory   {plan.pool_bytes() / (1 << 20):.0f} MiB of shared memory in {source_count} "
        f"pool{'s' if source_count > 1 else ''} of {plan.slot_count} frames\n"
        f"threads  engine {threads.engine}, decoders {source_count} x {threads.decoder}, "
        f"encoders {source_count} x {threads.encoder}"
    )
