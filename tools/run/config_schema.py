"""The JSON Schema of a pipeline file, for editors."""

from typing import Any

from maskstream.tools.run.run_settings import PipelineSettings, RunSettings, help_of

_TITLE = "maskstream pipeline"


def build_schema() -> dict[str, Any]:
    """Return the schema; each key is described as the command's option of its name is."""
    schema = PipelineSettings.model_json_schema()
    properties = schema["properties"]
    for name in RunSettings.model_fields:
        properties[name]["description"] = help_of(name)
    for model in (schema, *schema["$defs"].values()):
        for entry in model["properties"].values():
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
