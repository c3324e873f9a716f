"""JSON whose objects can be named by their line."""

from __future__ import annotations

import json
import json.scanner
import re
import reprlib
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.coco_check import Findings

_SHORT = reprlib.Repr()
_OF_A_CLASS = re.compile(r" or instance of \w+")


class JsonFile:
    """A JSON file that was read.

    Attributes:
        document: Its value.

    Raises:
        AnnotationError: It cannot be read; the text has the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            raise AnnotationError(f"{path}: is a folder; the JSON file itself is needed.")
        try:
            self._text = path.read_text(encoding="utf-8-sig")
            self.document: Any = json.loads(self._text)
        except json.JSONDecodeError as exc:
            raise AnnotationError(
                f"{path}:{exc.lineno}: {exc.msg} at column {exc.colno}; JSON is needed."
            ) from exc
        except UnicodeDecodeError as exc:
            raise AnnotationError(
                f"{path}: is no text in UTF-8 (byte {exc.start + 1}); JSON is needed."
            ) from exc
        except FileNotFoundError as exc:
            raise AnnotationError(f"{path}: no such file.") from exc
        except RecursionError as exc:
            raise AnnotationError(f"{path}: has lists in lists in lists without end.") from exc
        except (OSError, ValueError) as exc:
            raise AnnotationError(f"{path}: cannot be read as JSON ({exc}).") from exc
        self._placed: _Placing | None = None

    def check(self, kind: Any, *above: str | int) -> None:
        """Check that the value is laid out as a type of `train.formats.schemas`.

        Args:
            kind: The type.
            above: The keys that lead to what is checked; the whole document if none.

        Raises:
            AnnotationError: It is not; the text names each place.
        """
        value = self.document
        for key in above:
            value = value[key]
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError as exc:
            faults = [f"{self.where(*above, *e['loc'])}: {_found(e)}" for e in exc.errors()]
            Findings(faults=list(dict.fromkeys(faults))).refuse(self.path)

    def where(self, *keys: str | int) -> str:
        """Return ``path:line: keys`` of the object or list entry that the keys lead to."""
        if self._placed is None:
            # Pure Python and slow, so only once something has to be named.
            self._placed = _Placing(self._text)
        at, there = self._placed.find(keys)
        line = self._text.count("\n", 0, at) + 1
        named = [repr(key) if isinstance(key, str) else f"entry {key + 1}" for key in there]
        return f"{self.path}:{line}: {', '.join(named) or 'the file'}"


class _Placing(json.JSONDecoder):
    """Notes where each object begins."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._offsets: dict[int, int] = {}
        parse = json.decoder.JSONObject  # type: ignore[attr-defined]

        def parse_object(at: tuple[str, int], *rest: Any) -> tuple[Any, int]:
            value, end = parse(at, *rest)
            self._offsets[id(value)] = at[1] - 1
            return value, end

        self.parse_object = parse_object
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]
        self._document = self.decode(text)  # kept, so that no identity is used twice

    def find(self, keys: tuple[str | int, ...]) -> tuple[int, list[str | int]]:
        """Return where the innermost object on the way begins, and the keys that there are."""
        value, at = self._document, self._offsets.get(id(self._document), 0)
        there: list[str | int] = []
        for key in keys:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                break
            there.append(key)
            at = self._offsets.get(id(value), at)
        return at, there


def _found(error: Any) -> str:
    """Return what is wrong: with the key's name where it is not there, else with what is there."""
    if error["type"] == "missing":
        return f"has no {error['loc'][-1]}"
    text = _OF_A_CLASS.sub("", str(error["msg"]).removesuffix("."))
    return f"is {_SHORT.repr(error['input'])}; {text[:1].lower() + text[1:]}"
