"""H.264 in RTP packets (RFC 6184), and what their sender says about them (RTCP, RFC 3550).

All who watch a stream get the same packets, numbered once: whoever joins late starts at a higher
number, and whoever was too slow sees a gap, as if the packets had been lost on the way.
"""

from __future__ import annotations

import re
import secrets
import struct
from dataclasses import dataclass
from typing import NamedTuple

CLOCK_HZ = 90_000
PAYLOAD_TYPE = 96
PACKET_MAX_BYTES = 1400
"""With the headers of UDP and a tunnel or two it still fits into a frame of Ethernet."""

_HEADER_BYTES = 12
_PAYLOAD_MAX_BYTES = PACKET_MAX_BYTES - _HEADER_BYTES
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")
_SPS, _PPS, _STAP_A, _FU_A = 7, 8, 24, 28
_IMPORTANCE = 0x60
_NTP_EPOCH_S = 2_208_988_800
"""From 1900, where NTP counts from, to 1970."""
_SENDER_REPORT, _DESCRIPTION, _GOODBYE = 200, 202, 203
_NAME = b"maskstream"


class ParameterSets(NamedTuple):
    """What a decoder has to know before the first picture."""

    sps: bytes
    """NAL unit without start code."""
    pps: bytes
    """NAL unit without start code."""


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One picture, ready to be sent."""

    is_key: bool
    packets: tuple[bytes, ...]
    """Of RTP."""


def nal_units(annex_b: bytes) -> list[bytes]:
    """Returns what lies between start codes."""
    return [unit for unit in _START_CODE.split(annex_b) if unit]


def parameter_sets(extradata: bytes) -> ParameterSets:
    """Returns the sets in an encoder's ``extradata``.

    Raises:
        ValueError: There are none.
    """
    found = {unit[0] & 31: unit for unit in nal_units(extradata)}
    if _SPS not in found or _PPS not in found:
        raise ValueError(f"extradata: NAL units {sorted(found)}; an SPS and a PPS are needed.")
    return ParameterSets(found[_SPS], found[_PPS])


def payloads_of(units: list[bytes]) -> list[bytes]:
    """Returns the NAL units as payloads of RTP: whole, or a long one in fragments (FU-A)."""
    payloads = []
    for unit in units:
        if len(unit) <= _PAYLOAD_MAX_BYTES:
            payloads.append(unit)
            continue
        step = _PAYLOAD_MAX_BYTES - 2
        pieces = [unit[at : at + step] for at in range(1, len(unit), step)]
        last = len(pieces) - 1
        for index, piece in enumerate(pieces):
            place = (index == 0) << 7 | (index == last) << 6
            payloads.append(bytes((unit[0] & 0xE0 | _FU_A, place | unit[0] & 31)) + piece)
    return payloads


def joined_sets(sets: ParameterSets) -> bytes:
    """Returns both sets as one payload (STAP-A)."""
    parts = [len(unit).to_bytes(2, "big") + unit for unit in sets]
    return bytes((_IMPORTANCE | _STAP_A,)) + b"".join(parts)


class RtpSender:
    """Numbers and times the packets of one stream. Starts at random, as RFC 3550 asks."""

    def __init__(self, sets: ParameterSets) -> None:
        """Send pictures that ``sets`` explain."""
        self._joined_sets = joined_sets(sets)
        self._ssrc = secrets.randbits(32)
        self._number = secrets.randbits(16)
        self._time_offset = secrets.randbits(32)
        self._packet_count = self._byte_count = 0
        self._last_time = 0
        self._last_wall_ns = 0

    def pack(self, encoded: bytes, *, pts: int, is_key: bool, wall_ns: int) -> AccessUnit:
        """Returns one picture in packets; a keyframe with its parameter sets before it.

        Args:
            encoded: As it comes from the encoder, with start codes.
            pts: In units of ``CLOCK_HZ``.
            is_key: Whether a decoder can begin with it.
            wall_ns: When the picture was taken, by the wall clock.
        """
        self._last_time = (pts + self._time_offset) & 0xFFFFFFFF
        self._last_wall_ns = wall_ns
        payloads = payloads_of(nal_units(encoded))
        if is_key:
            payloads.insert(0, self._joined_sets)
        last = len(payloads) - 1
        packets = tuple(
            self._packet(payload, is_last=index == last) for index, payload in enumerate(payloads)
        )
        return AccessUnit(is_key, packets)

    def report(self, now_ns: int) -> bytes:
        """Returns a sender report for the moment ``now_ns`` of the wall clock.

        It ties the stream's time to the wall clock at which its pictures were taken, so whoever
        receives several streams can lay them side by side.
        """
        passed = round((now_ns - self._last_wall_ns) * CLOCK_HZ / 1e9)
        seconds, rest_ns = divmod(now_ns, 1_000_000_000)
        body = struct.pack(
            "!IIIIII",
            self._ssrc,
            (seconds + _NTP_EPOCH_S) & 0xFFFFFFFF,
            (rest_ns << 32) // 1_000_000_000,
            (self._last_time + passed) & 0xFFFFFFFF,
            self._packet_count & 0xFFFFFFFF,
            self._byte_count & 0xFFFFFFFF,
        )
        return _rtcp(_SENDER_REPORT, 0, body) + self._description()

    def goodbye(self) -> bytes:
        """Returns the report that no packet will follow."""
        empty = _rtcp(201, 0, self._ssrc.to_bytes(4, "big"))  # a compound starts with a report
        return empty + self._description() + _rtcp(_GOODBYE, 1, self._ssrc.to_bytes(4, "big"))

    def _packet(self, payload: bytes, *, is_last: bool) -> bytes:
        self._number = (self._number + 1) & 0xFFFF
        self._packet_count += 1
        self._byte_count += len(payload)
        kind = is_last << 7 | PAYLOAD_TYPE
        head = struct.pack("!BBHII", 0x80, kind, self._number, self._last_time, self._ssrc)
        return head + payload

    def _description(self) -> bytes:
        name = bytes((1, len(_NAME))) + _NAME + b"\0"  # the last item ends with a zero
        padded = name + bytes(-len(name) % 4)
        return _rtcp(_DESCRIPTION, 1, self._ssrc.to_bytes(4, "big") + padded)


def _rtcp(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body
