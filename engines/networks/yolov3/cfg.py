"""Read Darknet's network descriptions: sections of ``key=value`` lines, one section a layer.

Source: Darknet's own configuration files and their format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maskstream.engines.errors import WeightsError


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a description.

    Attributes:
        kind: Such as "convolutional".
        options: As written, by key.
        where: File and line, for error messages.
    """

    kind: str
    options: Mapping[str, str]
    where: str

    def text(self, key: str, default: str) -> str:
        """Return an option's text."""
        return self.options.get(key, default)

    def integer(self, key: str, default: int | None = None) -> int:
        """Return an option as a whole number; without a default it must be there.

        Raises:
            WeightsError: It is missing, or something else.
        """
        text = self.options.get(key)
        if text is None and default is not None:
            return default
        try:
            return int(text or "")
        except ValueError:
            found = "is missing" if text is None else f"is {text!r}"
            raise WeightsError(
                f"{self.where}: {key} of [{self.kind}] {found}; a whole number is needed."
            ) from None

    def numbers(self, key: str, default: str | None = None) -> tuple[float, ...]:
        """Return an option as a list of numbers; without a default it must be there.

        Raises:
            WeightsError: It is missing, or something else.
        """
        text = self.options.get(key, default)
        try:
            return tuple(float(part) for part in (text or "").strip(" ,").split(","))
        except ValueError:
            found = "is missing" if text is None else f"is {text!r}"
            raise WeightsError(
                f"{self.where}: {key} of [{self.kind}] {found}; numbers between commas are needed."
            ) from None

    def integers(self, key: str, default: str | None = None) -> tuple[int, ...]:
        """Return an option as a list of whole numbers; see `numbers`."""
        return tuple(int(number) for number in self.numbers(key, default))


@dataclass(frozen=True, slots=True)
class Cfg:
    """A network's description.

    Attributes:
        net: The first section: the input's size, and how it was trained.
        layers: One section for each layer, in order.
    """

    net: Section
    layers: tuple[Section, ...]


def read_cfg(path: Path) -> Cfg:
    """Read a description.

    Raises:
        WeightsError: The file cannot be read, or is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise WeightsError(f"{path}: cannot be read ({exc}); a Darknet .cfg is needed.") from exc
    return parse_cfg(text, where=str(path))


def parse_cfg(text: str, *, where: str) -> Cfg:
    """Read a description's text.

    Args:
        where: What error messages call it.

    Raises:
        WeightsError: It is none.
    """
    sections: list[Section] = []
    options: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#", 1)[0].split(";", 1)[0].strip()
        if not line:
            continue
        if line.startswith("[") and line.endswith("]"):
            options = {}
            sections.append(Section(line[1:-1].strip(), options, f"{where}, line {number}"))
            continue
        key, equals, value = line.partition("=")
        if not equals or not sections:
            raise WeightsError(
                f"{where}, line {number}: is {line!r}; a [section] or key=value is needed."
            )
        options[key.strip()] = value.strip()
    if not sections or sections[0].kind not in ("net", "network"):
        found = f"begins with [{sections[0].kind}]" if sections else "holds no section"
        raise WeightsError(f"{where}: {found}; a Darknet network begins with [net].")
    return Cfg(sections[0], tuple(sections[1:]))
