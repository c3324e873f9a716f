"""Read an ONNX file's metadata without loading its graph or any runtime.

The supervisor looks at an engine before it starts anything. The runtimes would load the whole
graph for that, take a fifth of a second to import, and answer a file that is no ONNX with lines of
their own on stderr.

Source: the field numbers are those of ``ModelProto`` and ``StringStringEntryProto`` in onnx.proto;
the wire format is that of Protocol Buffers, "Encoding".
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from engines.errors import EngineFileError

_GRAPH_FIELD = 7
_METADATA_FIELD = 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_METADATA_BYTES_MAX = 1 << 20


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata properties of an ONNX file.

    Raises:
        EngineFileError: The file cannot be read, is cut short, or is no ONNX model.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            metadata = _read_model(file, size)
    except OSError as exc:
        raise EngineFileError(f"{path}: cannot be read ({exc.strerror}).") from exc
    except ValueError as exc:
        raise EngineFileError(
            f"{path}: is no engine ({exc}); an .onnx file of `maskstream export` is needed."
        ) from exc
    return metadata


def _read_model(file: BinaryIO, size: int) -> dict[str, str]:
    metadata: dict[str, str] = {}
    has_graph = False
    while file.tell() < size:
        key = _varint(file)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            _varint(file)
            continue
        if kind not in (_FIXED64, _BYTES, _FIXED32):
            raise ValueError("its bytes are not those of an ONNX model")
        length = _varint(file) if kind == _BYTES else {_FIXED64: 8, _FIXED32: 4}[kind]
        end = file.tell() + length
        if end > size:
            raise ValueError("it is cut short, or no ONNX model")
        if field == _METADATA_FIELD and kind == _BYTES and length <= _METADATA_BYTES_MAX:
            name, value = _entry(file.read(length))
            metadata[name] = value
        has_graph |= field == _GRAPH_FIELD and kind == _BYTES
        file.seek(end)
    if not has_graph:
        raise ValueError("it holds no graph")
    return metadata


def _entry(data: bytes) -> tuple[str, str]:
    """Read a pair of strings."""
    parts = {1: b"", 2: b""}
    position = 0
    while position + 1 < len(data):
        field = data[position] >> 3
        length, position = _varint_in(data, position + 1)
        parts[field] = data[position : position + length]
        position += length
    return parts[1].decode(), parts[2].decode()


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("its bytes are not those of an ONNX model")


def _varint_in(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("its metadata is cut short")
