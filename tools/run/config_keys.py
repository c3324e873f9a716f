"""The keys of a pipeline file: their JSON Schema, their lines, and what is wrong with one."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from maskstream.stream.addresses.redact import scrubbed, shown
from maskstream.stream.arguments import PipelineArguments, SourceArguments, arguments_of

PIPELINE = TypeAdapter(PipelineArguments)
"""Checks the types of what a file says."""

_TITLE = "maskstream pipeline"
_TABLE = re.compile(r"\s*\[(\[)?\s*([^\]]*?)\s*\]")
_KEY = re.compile(r"""\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*=""")

Key = str | int
"""``outputs`` of the run is ``("outputs",)``, of the second source ``("source", 1, "outputs")``."""
_FOUND_MAX = 60
_NEEDED = {
    "int": "a whole number is needed, without quotes",
    "float": "a number is needed, without quotes",
    "finite_number": "a number is needed",
    "bool": "true or false is needed, without quotes",
    "string_too_short": "a text is needed that is not empty",
}
_ELSEWHERE = {
    "output": "outputs", "sources": "source", "telemetry_encoding": "telemetry_format",
    "url": "uri", "address": "uri", "path": "uri", "input": "uri", "src": "uri",
    "source_timeout": "timeout", "fps": "display_fps",
}  # fmt: skip
"""What people write first -> what it is called; only where the latter exists at that place."""


def build_schema() -> dict[str, Any]:
    """Return the schema; each key is described by the help of its argument."""
    schema = PIPELINE.json_schema()
    declared = {PipelineArguments: schema, SourceArguments: schema["$defs"]["SourceArguments"]}
    for kind, described in declared.items():
        for name, argument in arguments_of(kind).items():
            entry = described["properties"][name]
            entry["description"] = argument.option.help
            _without_null(entry)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": _TITLE,
        "description": "Sources and options of `maskstream run --config`.",
    }


def _without_null(entry: dict[str, Any]) -> None:
    """Take out the null that TOML does not have: what is not set is left out."""
    entry.pop("title", None)
    if entry.get("default", ...) is None:
        entry.pop("default")
    kinds = [kind for kind in entry.pop("anyOf", []) if kind.get("type") != "null"]
    for kind in kinds:
        entry.update(kind)


class KeyLines:
    """The lines of the keys in one file, from 1.

    What is written in unusual ways (inline tables, text over several lines) may have the line of
    the table around it, or none.
    """

    def __init__(self, path: Path, text: str) -> None:
        """Find the keys in ``text``, which is valid TOML."""
        self._path = path
        self._lines: dict[tuple[Key, ...], int] = {}
        table: tuple[Key, ...] = ()
        counts: dict[str, int] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if match := _TABLE.match(line):
                name = match[2]
                table = (name, counts.get(name, 0)) if match[1] else (name,)
                counts[name] = counts.get(name, 0) + 1
                self._lines.setdefault(table, number)
            elif match := _KEY.match(line):
                self._lines.setdefault((*table, match[1] or match[2] or match[3]), number)

    def where(self, *keys: Key) -> str:
        """Return ``FILE:LINE`` of a key; of what is around it, or ``FILE``, where it has none."""
        line = self.line_of(*keys)
        return f"{self._path}:{line}" if line else str(self._path)

    def line_of(self, *keys: Key) -> int:
        """Return the line of a key; of what is around it, or 0, where it has none."""
        for length in range(len(keys), 0, -1):
            line = self._lines.get(keys[:length])
            if line is not None:
                return line
        return 0


def fault_of(error: Mapping[str, Any]) -> str:
    """Return one of pydantic's errors as a line, without the place.

    Args:
        error: An entry of ``ValidationError.errors()``.
    """
    location = error["loc"]
    is_in_source = len(location) > 2 and location[0] == "source"
    subject = f"source {location[1] + 1}: {location[2]}" if is_in_source else str(location[0])
    declared = SourceArguments if is_in_source else PipelineArguments
    key = str(location[2] if is_in_source else location[0])
    kind = error["type"]
    if kind == "unexpected_keyword_argument":
        return f"{subject}: no such key; {_meant(key, declared, is_in_source=is_in_source)}"
    if kind == "missing":
        return f'{subject}: left out; add {key} = "...", a file, a camera or an address.'
    if location == ("source",) or (len(location) == 2 and location[0] == "source"):
        return "source: not written as a table; begin each source with a line [[source]]."
    needed = _needed(error, key, declared)
    end = "" if needed.endswith(("?", ".")) else "."
    return f"{subject}: {_found(error['input'])} was given; {needed}{end}"


def _meant(key: str, declared: type, *, is_in_source: bool) -> str:
    """Return what to do about a key that is not known."""
    known = set(arguments_of(declared))
    spelt = key.lower().replace("-", "_")
    spelt = _ELSEWHERE.get(spelt, spelt) if spelt not in known else spelt
    if spelt in known:
        return f"did you mean {spelt!r}?"
    if is_in_source and spelt in arguments_of(PipelineArguments):
        return "it is an option of the whole run: move it above the first [[source]]."
    if not is_in_source and spelt in arguments_of(SourceArguments):
        return "it belongs to a source: put it below a line [[source]]."
    near = difflib.get_close_matches(spelt, sorted(known), n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    if is_in_source:
        return f"a source has {', '.join(arguments_of(declared))}."
    return "`maskstream config schema` has all there are."


def _needed(error: Mapping[str, Any], key: str, declared: type) -> str:
    kind, value = error["type"], error["input"]
    if kind.startswith("list"):
        example = f'["{scrubbed(shown(value))}"]' if isinstance(value, str) else '["..."]'
        return f"a list is needed: {key} = {example}"
    if kind == "literal_error":
        near = difflib.get_close_matches(str(value), str(error["ctx"]["expected"]).split("'"), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"it must be {error['ctx']['expected']}{hint}"
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"it must be {arguments_of(declared)[key].range}"
    if kind.startswith(("string_type", "path")):
        example = str(value) if isinstance(value, int | float) else "..."
        return f'text in quotes is needed: "{example}"'
    family = next((name for name in _NEEDED if kind.startswith(name)), None)
    return _NEEDED[family] if family else scrubbed(str(error["msg"])).lower()


def _found(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(scrubbed(shown(value)) if isinstance(value, str) else value)
    return scrubbed(text if len(text) <= _FOUND_MAX else f"{text[:_FOUND_MAX]}...")
