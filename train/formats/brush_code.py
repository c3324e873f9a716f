"""The run-length code of Label Studio's brush.

It is thi.ng's "rle-pack" over the bytes of an RGBA picture whose alpha is the mask. All fields are
bits, high ones first: the count of values (32), the bits of a value less one (5), four lengths less
one (4 each) of the fields that hold run lengths. Then blocks: whether it is a run (1), which of the
four lengths (2), the number of values less one; a run has the value once, others all values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maskstream.train.errors import AnnotationError

_CHANNELS = 4
_LENGTH_BITS = (4, 8, 12, 16)
_VALUE_BITS = 8


def decode_brush(code: Sequence[int], height: int, width: int) -> NDArray[np.uint8]:
    """Return the (height, width) mask of 0 and 1.

    Raises:
        AnnotationError: The code is broken, or of a picture of another size.
    """
    try:
        bits = np.unpackbits(np.array(code, np.uint8))
    except (TypeError, ValueError, OverflowError) as exc:
        raise AnnotationError("its mask is no list of bytes") from exc
    reader = _Bits(bits)
    count = reader.read(32)
    if count != height * width * _CHANNELS:
        raise AnnotationError(
            f"its mask has {count} values; {width}x{height} with {_CHANNELS} each are needed"
        )
    value_bits = reader.read(5) + 1
    length_bits = [reader.read(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint32)
    done = 0
    while done < count:
        is_run = reader.read(1)
        length = reader.read(length_bits[reader.read(2)]) + 1
        if done + length > count:
            raise AnnotationError("its mask has more values than it says")
        values[done : done + length] = reader.read_values(1 if is_run else length, value_bits)
        done += length
    return np.asarray(values.reshape(height, width, _CHANNELS)[..., -1] > 0, np.uint8)


def encode_brush(mask: NDArray[np.uint8]) -> list[int]:
    """Return the code of a (height, width) mask of 0 and 1."""
    values = np.repeat(mask.reshape(-1) * np.uint8(255), _CHANNELS)
    edges = np.flatnonzero(np.diff(values)) + 1
    begins = np.concatenate(([0], edges))
    lengths = np.diff(np.concatenate((begins, [len(values)])))
    fields = [f"{len(values):032b}", f"{_VALUE_BITS - 1:05b}"]
    fields += [f"{bits - 1:04b}" for bits in _LENGTH_BITS]
    for begin, length in zip(begins.tolist(), lengths.tolist(), strict=True):
        value = f"{values[begin]:08b}"
        for part in _parts(length):
            which = next(i for i, bits in enumerate(_LENGTH_BITS) if part <= 1 << bits)
            fields.append(f"1{which:02b}{part - 1:0{_LENGTH_BITS[which]}b}{value}")
    text = "".join(fields)
    packed = np.packbits(np.frombuffer(text.encode("ascii"), np.uint8) - ord("0"))
    return [int(byte) for byte in packed]


def _parts(length: int) -> list[int]:
    """Return a run's length in parts that a field can hold."""
    most = 1 << _LENGTH_BITS[-1]
    return [most] * (length // most) + ([length % most] if length % most else [])


class _Bits:
    """Reads numbers out of a row of bits."""

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self._bits = bits
        self._at = 0

    def read(self, bit_count: int) -> int:
        return int(self.read_values(1, bit_count)[0])

    def read_values(self, count: int, bit_count: int) -> NDArray[np.uint32]:
        end = self._at + count * bit_count
        if end > len(self._bits):
            raise AnnotationError("its mask ends before all of its values")
        rows = self._bits[self._at : end].reshape(count, bit_count)
        self._at = end
        weights = np.uint32(1) << np.arange(bit_count, dtype=np.uint32)[::-1]
        return np.asarray((rows * weights).sum(axis=1), np.uint32)
