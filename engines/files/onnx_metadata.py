"""Read what an ONNX file says about itself, without loading its graph or any runtime.

The supervisor looks at an engine before it starts anything. The runtimes would load the whole
graph for that, take a fifth of a second to import, and answer a file that is no ONNX with lines of
their own on stderr.

Source: the field numbers are those of ``ModelProto``, ``GraphProto``, ``ValueInfoProto``,
``TypeProto``, ``TensorShapeProto`` and ``StringStringEntryProto`` in onnx.proto; the wire format is
that of Protocol Buffers, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from maskstream.engines.errors import EngineFileError

_GRAPH_FIELD, _METADATA_FIELD = 7, 14
_INPUT_FIELD, _OUTPUT_FIELD = 11, 12
_NAME_FIELD, _VALUE_FIELD = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_PART_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """An input or output of a graph.

    Attributes:
        shape: Its sides; None for one that is not fixed. Empty where the file gives none.
    """

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What an ONNX file says about itself."""

    metadata: dict[str, str]
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata properties of an ONNX file.

    Raises:
        EngineFileError: The file cannot be read, is cut short, or is no ONNX model.
    """
    return read_model(path).metadata


def read_model(path: Path) -> ModelFacts:
    """Return an ONNX file's metadata, inputs and outputs.

    Raises:
        EngineFileError: The file cannot be read, is cut short, or is no ONNX model.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _model(file, size)
    except OSError as exc:
        raise EngineFileError(f"{path}: cannot be read ({exc.strerror}).") from exc
    except ValueError as exc:
        raise EngineFileError(
            f"{path}: is no engine ({exc}); an .onnx file of `maskstream export` is needed."
        ) from exc


class _Field(NamedTuple):
    """A field of a message; the file stands at its first byte where it has any."""

    number: int
    kind: int
    value: int
    """Of a varint; of all others the length in bytes."""


def _model(file: BinaryIO, size: int) -> ModelFacts:
    metadata: dict[str, str] = {}
    tensors: dict[int, list[TensorFacts]] = {_INPUT_FIELD: [], _OUTPUT_FIELD: []}
    has_graph = False
    for field in _fields(file, size):
        if field.kind != _BYTES:
            continue
        if field.number == _METADATA_FIELD and field.value <= _PART_BYTES_MAX:
            pair = _parts(file.read(field.value))
            metadata[pair.get(_NAME_FIELD, b"").decode()] = pair.get(_VALUE_FIELD, b"").decode()
        elif field.number == _GRAPH_FIELD:
            has_graph = True
            for part in _fields(file, file.tell() + field.value):
                if part.number in tensors and part.kind == _BYTES:
                    tensors[part.number].append(_tensor(file.read(part.value)))
    if not has_graph:
        raise ValueError("it holds no graph")
    return ModelFacts(metadata, tuple(tensors[_INPUT_FIELD]), tuple(tensors[_OUTPUT_FIELD]))


def _tensor(data: bytes) -> TensorFacts:
    """Read a ``ValueInfoProto``: name = 1, type = 2 > tensor_type = 1 > shape = 2 > dim = 1."""
    value = _parts(data)
    shape = _parts(_parts(value.get(2, b"")).get(1, b"")).get(2, b"")
    sides = []
    file = BytesIO(shape)
    for dimension in _fields(file, len(shape)):
        side = None
        for field in _fields(file, file.tell() + dimension.value):
            # dim_value; a side that is not fixed has a name instead, or is -1.
            if field.number == 1 and field.kind == _VARINT and field.value < 1 << 63:
                side = field.value
        sides.append(side)
    return TensorFacts(value.get(1, b"").decode(), tuple(sides))


def _parts(data: bytes) -> dict[int, bytes]:
    """Return the strings and messages of a small message by field number; the last one counts."""
    file = BytesIO(data)
    return {
        field.number: file.read(field.value)
        for field in _fields(file, len(data))
        if field.kind == _BYTES
    }


def _fields(file: BinaryIO, end: int) -> Iterator[_Field]:
    """Yield the fields of the message from here to ``end``; whoever takes one may read in it."""
    while file.tell() < end:
        key = _varint(file)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            yield _Field(number, kind, _varint(file))
            continue
        if kind != _BYTES and kind not in _FIXED_BYTES:
            raise ValueError("its bytes are not those of an ONNX model")
        length = _varint(file) if kind == _BYTES else _FIXED_BYTES[kind]
        next_field = file.tell() + length
        if next_field > end:
            raise ValueError("it is cut short, or no ONNX model")
        yield _Field(number, kind, length)
        file.seek(next_field)


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("its bytes are not those of an ONNX model")
