"""What is wrong with a key or a value of a pipeline file, in the words of this project."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from maskstream.stream.addresses.redact import scrubbed, shown
from maskstream.tools.run.run_settings import PipelineSettings, SourceSettings

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


def fault_of(error: Mapping[str, Any]) -> str:
    """Return one of pydantic's errors as a line, without the place.

    Args:
        error: An entry of ``ValidationError.errors()``.
    """
    location = error["loc"]
    is_in_source = len(location) > 2 and location[0] == "source"
    subject = f"source {location[1] + 1}: {location[2]}" if is_in_source else str(location[0])
    model: type[BaseModel] = SourceSettings if is_in_source else PipelineSettings
    key = str(location[2] if is_in_source else location[0])
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{subject}: no such key; {_meant(key, model, is_in_source=is_in_source)}"
    if kind == "missing":
        return f'{subject}: left out; add {key} = "...", a file, a camera or an address.'
    if location == ("source",) or (len(location) == 2 and location[0] == "source"):
        return "source: not written as a table; begin each source with a line [[source]]."
    needed = _needed(error, key, model)
    end = "" if needed.endswith(("?", ".")) else "."
    return f"{subject}: {_found(error['input'])} was given; {needed}{end}"


def _meant(key: str, model: type[BaseModel], *, is_in_source: bool) -> str:
    """Return what to do about a key that is not known."""
    known = set(model.model_fields)
    spelt = key.lower().replace("-", "_")
    spelt = _ELSEWHERE.get(spelt, spelt) if spelt not in known else spelt
    if spelt in known:
        return f"did you mean {spelt!r}?"
    if is_in_source and spelt in PipelineSettings.model_fields:
        return "it is an option of the whole run: move it above the first [[source]]."
    if not is_in_source and spelt in SourceSettings.model_fields:
        return "it belongs to a source: put it below a line [[source]]."
    near = difflib.get_close_matches(spelt, sorted(known), n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    if is_in_source:
        return f"a source has {', '.join(model.model_fields)}."
    return "`maskstream config schema` has all there are."


def _needed(error: Mapping[str, Any], key: str, model: type[BaseModel]) -> str:
    kind, value = error["type"], error["input"]
    if kind.startswith("list"):
        example = f'["{scrubbed(shown(value))}"]' if isinstance(value, str) else '["..."]'
        return f"a list is needed: {key} = {example}"
    if kind == "literal_error":
        near = difflib.get_close_matches(str(value), str(error["ctx"]["expected"]).split("'"), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"it must be {error['ctx']['expected']}{hint}"
    if kind in ("greater_than_equal", "less_than_equal"):
        return f"it must be {_range_of(key, model)}"
    if kind.startswith(("string_type", "path")):
        example = str(value) if isinstance(value, int | float) else "..."
        return f'text in quotes is needed: "{example}"'
    family = next((name for name in _NEEDED if kind.startswith(name)), None)
    return _NEEDED[family] if family else scrubbed(str(error["msg"])).lower()


def _range_of(key: str, model: type[BaseModel]) -> str:
    metadata = model.model_fields[key].metadata
    least = next(entry.ge for entry in metadata if hasattr(entry, "ge"))
    most = next((entry.le for entry in metadata if hasattr(entry, "le")), None)
    return f"at least {least}" if most is None else f"{least} to {most}"


def _found(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(scrubbed(shown(value)) if isinstance(value, str) else value)
    return scrubbed(text if len(text) <= _FOUND_MAX else f"{text[:_FOUND_MAX]}...")
