"""What was asked for, by command line and file together.

Precedence, highest first: command line, the source's table, the file's options, defaults. Sources
on the command line replace those of the file.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskstream.stream.arguments import SOURCE_OVERRIDES, PipelineArguments, SourceArguments
from maskstream.tools.run.config_file import ConfigFile, read_config
from maskstream.tools.run.config_keys import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    arguments: PipelineArguments
    """Merged; with the sources of the command line where it names any."""
    given: frozenset[str]
    """Options that were typed."""
    file: ConfigFile | None = None
    are_sources_typed: bool = False

    def where(self, *keys: Key) -> str:
        """Return ``FILE:LINE`` of a value that comes from a file; else an empty text."""
        if self.file is None or keys[0] in self.given:
            return ""
        if keys[0] == "source":
            return "" if self.are_sources_typed else self.file.where(*keys)
        return self.file.where(*keys) if keys[0] in self.file.keys else ""


def make_request(sources: list[str], given: dict[str, Any], config: Path | None) -> Request:
    """Return what the command line and the file ask for together.

    Args:
        sources: As typed; with any, the file's are left out.
        given: Options that were typed, by the names of their fields.
        config: The file, where there is one.

    Raises:
        ConfigError: The file cannot be read, or is not as it has to be.
    """
    file = None if config is None else read_config(config)
    arguments = PipelineArguments() if file is None else file.arguments
    tables = [SourceArguments(uri=uri) for uri in sources] or [
        _overridden(source, given) for source in arguments.source
    ]
    return Request(
        arguments=replace(arguments, **{**given, "source": tables}),
        given=frozenset(given),
        file=file,
        are_sources_typed=bool(sources),
    )


def _overridden(source: SourceArguments, given: dict[str, Any]) -> SourceArguments:
    """Return a source without those of its own values that the command line overrides."""
    taken: dict[str, Any] = {
        key: None for key, option in SOURCE_OVERRIDES.items() if option in given
    }
    return replace(source, **taken)
