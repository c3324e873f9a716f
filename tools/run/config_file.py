"""Reading ``pipeline.toml``: what it says, on which line, and every mistake in it."""

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from maskstream.errors import ConfigError, OutputError
from maskstream.stream.arguments import (
    PipelineArguments,
    RunArguments,
    SourceArguments,
    arguments_of,
)
from maskstream.stream.delivery import parse_delivery
from maskstream.stream.sources.live_open import is_live
from maskstream.stream.sources.synthetic_options import SCHEME
from maskstream.tools.run.config_keys import PIPELINE, Key, KeyLines, fault_of
from maskstream.tools.run.faults import Faults

_PATHS = [name for name, entry in arguments_of(RunArguments).items() if entry.type == Path | None]
_WithDeliveries = PipelineArguments | SourceArguments
_TOML_PLACE = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that was read and is well-formed."""

    path: Path
    arguments: PipelineArguments
    """Relative paths are relative to the working folder now, as typed ones are."""
    keys: frozenset[str]
    """Of the run, as far as they stand in the file."""
    lines: KeyLines

    def where(self, *keys: Key) -> str:
        """Return ``FILE:LINE`` of a key."""
        return self.lines.where(*keys)


def read_config(path: Path) -> ConfigFile:
    """Return what ``path`` says.

    Raises:
        ConfigError: It cannot be read, or is no TOML.
        RequestError: It is TOML, with keys or values that are not as they have to be.
    """
    text = _read(path)
    data = _parse(path, text)
    lines = KeyLines(path, text)
    try:
        # As JSON, since TOML has lists and texts where the list has paths; else it is strict.
        document = to_json(data, inf_nan_mode="constants")
        arguments = PIPELINE.validate_json(document, strict=True)
    except ValidationError as exc:
        faults = Faults()
        for error in sorted(exc.errors(), key=lambda error: lines.line_of(*error["loc"])):
            faults.add(f"{lines.where(*error['loc'])}: {fault_of(error)}")
        faults.raise_any()
        raise
    _check_names(arguments, lines)
    return ConfigFile(path, _from_folder(arguments, path.parent), frozenset(data), lines)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise ConfigError(
            f"{path}: no such file; name one, or begin with the example of "
            "`maskstream config --help`."
        ) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: no text in UTF-8; a TOML file is needed.") from exc
    except OSError as exc:
        raise ConfigError(
            f"{path}: cannot be read ({exc.strerror}); a TOML file is needed."
        ) from exc


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        message = str(exc)
        place = _TOML_PLACE.search(message)
        reason = message[: place.start()] if place else message
        number = int(place[1]) if place and place[1] else len(text.splitlines())
        line = text.splitlines()[number - 1].strip() if text else ""
        raise ConfigError(
            f"{path}:{number}: not TOML: {reason[:1].lower()}{reason[1:]}{_hint(line)}."
        ) from exc


def _hint(line: str) -> str:
    """Return what is probably meant by a line that is no TOML; the line itself is not shown."""
    if re.match(r"[\w-]+\s*:", line):
        return "; TOML has key = value, not key: value"
    if match := re.match(r"([\w-]+)\s*=\s*[^\"'\[{\d\s]", line):
        return f'; text is put in quotes: {match[1]} = "..."'
    if re.match(r"[\w-]+\s*=\s*(#|$)", line):
        return "; a value is needed, or leave the key out"
    return "; key = value is needed, with text in quotes"


def _check_names(arguments: PipelineArguments, lines: KeyLines) -> None:
    first: dict[str, int] = {}
    faults = Faults()
    for index, source in enumerate(arguments.source):
        if source.name is None:
            continue
        if source.name in first:
            faults.add(
                f"{lines.where('source', index, 'name')}: name: {source.name!r} is also source "
                f"{first[source.name] + 1}'s; give each source a name of its own."
            )
        first.setdefault(source.name, index)
    faults.raise_any()


def _from_folder(arguments: PipelineArguments, folder: Path) -> PipelineArguments:
    """Return ``arguments`` with paths relative to the file's folder, not the working one."""
    paths = {name: getattr(arguments, name) for name in _PATHS}
    changed: dict[str, Any] = {
        name: _placed(str(path), folder, Path) for name, path in paths.items() if path is not None
    }
    changed |= _placed_deliveries(arguments, folder)
    if arguments.log_json not in (None, "-"):
        changed["log_json"] = _placed(str(arguments.log_json), folder, str)
    if arguments.engine.endswith(".onnx") or "/" in arguments.engine:
        changed["engine"] = _placed(arguments.engine, folder, str)
    changed["source"] = [_source_from_folder(source, folder) for source in arguments.source]
    return replace(arguments, **changed)


def _source_from_folder(source: SourceArguments, folder: Path) -> SourceArguments:
    changed: dict[str, Any] = _placed_deliveries(source, folder)
    if not source.uri.startswith(SCHEME) and not is_live(source.uri):
        changed["uri"] = _placed(source.uri, folder, str)
    return replace(source, **changed)


def _placed_deliveries(arguments: _WithDeliveries, folder: Path) -> dict[str, Any]:
    """Return the outputs and results whose paths begin in ``folder``; addresses stay."""
    changed: dict[str, Any] = {}
    if arguments.outputs is not None:
        changed["outputs"] = [
            _placed(text, folder, str) if _is_file(text, folder) else text
            for text in arguments.outputs
        ]
    if arguments.results is not None:
        changed["results"] = [
            text if "://" in text else _placed(text, folder, str) for text in arguments.results
        ]
    return changed


def _is_file(text: str, folder: Path) -> bool:
    """Whether an output is a file or folder; what is neither is left for the checks to refuse."""
    try:
        return parse_delivery(_placed(text, folder, str)).is_file
    except OutputError:
        return "://" not in text and not text.endswith(":") and text != ""


def _placed(text: str, folder: Path, kind: Any) -> Any:
    """Return ``text`` as a path from ``folder``; ``~`` is the user's own folder, as in a shell."""
    return kind(folder / Path(text).expanduser()) if text else kind(text)
