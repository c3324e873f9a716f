"""What was asked for, by command line and file together.

What is typed goes before what a source's own table says, that before the file's options, and those
before the defaults. Sources that are typed take the place of the file's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskstream.tools.run.config_file import ConfigFile, read_config
from maskstream.tools.run.config_lines import Key
from maskstream.tools.run.run_settings import OVERRIDES, PipelineSettings, SourceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for."""

    settings: PipelineSettings
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
        is_written = keys[0] in self.file.settings.model_fields_set
        return self.file.where(*keys) if is_written else ""


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
    settings = PipelineSettings() if file is None else file.settings
    tables = [SourceSettings(uri=uri) for uri in sources] or [
        _overridden(source, given) for source in settings.source
    ]
    return Request(
        settings=settings.model_copy(update={**given, "source": tables}),
        given=frozenset(given),
        file=file,
        are_sources_typed=bool(sources),
    )


def _overridden(source: SourceSettings, given: dict[str, Any]) -> SourceSettings:
    """Return a source without those of its own values that the command line overrides."""
    taken = {key: None for key, option in OVERRIDES.items() if option in given}
    return source.model_copy(update=taken)
