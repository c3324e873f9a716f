"""Split an ONNX file into its graphs, where it holds several that share nothing.

An engine of two stages is one file with two graphs side by side: one from ``frames``, one from
``crops``. Every tool for ONNX can read the file as it is; the runtimes get each graph as a model of
its own, since they would run both at once. The `onnx` package is not among what running an engine
needs, so this works on the file's bytes: nodes and tensors are copied, never understood.

Source: the field numbers are those of ``ModelProto``, ``GraphProto``, ``NodeProto``,
``TensorProto`` and ``ValueInfoProto`` in onnx.proto; the wire format is that of Protocol Buffers,
"Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from maskstream.engines.errors import EngineFileError

_MODEL_GRAPH = 7
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_NAME_FIELDS = {_INITIALIZER: 8, _INPUT: 1, _OUTPUT: 1, _VALUE_INFO: 1}
"""Where a part of a graph keeps the name of the tensor that it describes."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    number: int
    whole: memoryview
    """With its key and length, as it is written."""
    value: memoryview
    """Without them; empty for numbers."""


def split_graphs(path: Path) -> dict[str, bytes]:
    """Return a model for each input of a file, by its name, with all that hangs together with it.

    Raises:
        EngineFileError: The file cannot be read, or is no ONNX model.
    """
    try:
        model = memoryview(path.read_bytes())
        return _split(model)
    except OSError as exc:
        raise EngineFileError(f"{path}: cannot be read ({exc.strerror}).") from exc
    except (IndexError, ValueError) as exc:
        raise EngineFileError(
            f"{path}: is no engine ({exc}); an .onnx file of `maskstream export` is needed."
        ) from exc


def _split(model: memoryview) -> dict[str, bytes]:
    fields = list(_fields(model))
    graph = next((field for field in fields if field.number == _MODEL_GRAPH), None)
    if graph is None:
        raise ValueError("it holds no graph")
    parts = list(_fields(graph.value))
    groups = _Groups()
    for part in parts:
        if part.number == _NODE:
            groups.join(_names(part))
    weights = {_names(part)[0] for part in parts if part.number == _INITIALIZER}
    inputs = [_names(part)[0] for part in parts if part.number == _INPUT]
    rest = b"".join(field.whole for field in fields if field.number != _MODEL_GRAPH)
    models = {}
    for name in inputs:
        if name in weights:  # old files list their weights among the inputs
            continue
        kept = [part for part in parts if _belongs(part, groups, groups.of(name))]
        if not any(part.number == _OUTPUT for part in kept):
            raise ValueError(f"nothing comes of its input {name}")
        body = b"".join(part.whole for part in kept)
        models[name] = rest + _key(_MODEL_GRAPH) + _varint_bytes(len(body)) + body
    return models


def _belongs(part: _Field, groups: _Groups, group: str) -> bool:
    if part.number != _NODE and part.number not in _NAME_FIELDS:
        return True  # the graph's own name and properties
    return groups.of(_names(part)[0]) == group


def _names(part: _Field) -> list[str]:
    """Return the tensors that a node connects, or the one that another part describes."""
    wanted = (_NODE_INPUT, _NODE_OUTPUT) if part.number == _NODE else (_NAME_FIELDS[part.number],)
    names = (bytes(field.value).decode() for field in _fields(part.value) if field.number in wanted)
    return [name for name in names if name]  # an input that is left out has an empty name


class _Groups:
    """Names that hang together: each points to another of its group, the first to itself."""

    def __init__(self) -> None:
        self._towards: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Return the name that stands for a name's group."""
        while (towards := self._towards.setdefault(name, name)) != name:
            self._towards[name] = name = self._towards[towards]
        return name

    def join(self, names: list[str]) -> None:
        """Make one group of the groups of some names."""
        for name in names[1:]:
            self._towards[self.of(name)] = self.of(names[0])


def _fields(message: memoryview) -> Iterator[_Field]:
    position = 0
    while position < len(message):
        key, start = _varint(message, position)
        kind = key & 7
        if kind == _VARINT:
            _, end = _varint(message, start)
            start = end
        elif kind == _BYTES:
            length, start = _varint(message, start)
            end = start + length
        elif kind in (_FIXED64, _FIXED32):
            end = start + (8 if kind == _FIXED64 else 4)
        else:
            raise ValueError("its bytes are not those of an ONNX model")
        if end > len(message):
            raise ValueError("it is cut short, or no ONNX model")
        yield _Field(key >> 3, message[position:end], message[start:end])
        position = end


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value = shift = 0
    while (byte := message[position]) >= 0x80:
        value |= (byte & 0x7F) << shift
        shift += 7
        position += 1
    return value | byte << shift, position + 1


def _varint_bytes(value: int) -> bytes:
    low = []
    while value >= 0x80:
        low.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*low, value])


def _key(number: int) -> bytes:
    return _varint_bytes(number << 3 | _BYTES)
