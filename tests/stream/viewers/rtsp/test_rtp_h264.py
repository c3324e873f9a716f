import struct

import pytest

from maskstream.stream.viewers.rtsp.rtp_h264 import (
    PACKET_MAX_BYTES,
    ParameterSets,
    RtpSender,
    joined_sets,
    nal_units,
    parameter_sets,
    payloads_of,
)

SETS = ParameterSets(b"\x67\x64\x00\x1e", b"\x68\xef")


def test_start_codes_of_three_and_four_bytes_part_the_units():
    data = b"\0\0\0\1\x67a\0\0\1\x68b\0\0\0\1\x65c\0d"
    assert nal_units(data) == [b"\x67a", b"\x68b", b"\x65c\0d"]


def test_parameter_sets_are_found_beside_other_units():
    assert parameter_sets(b"\0\0\0\1\x06x\0\0\0\1\x67\x01\0\0\1\x68\x02") == (b"\x67\1", b"\x68\2")
    with pytest.raises(ValueError, match="an SPS and a PPS are needed"):
        parameter_sets(b"\0\0\0\1\x67\x01")


def test_both_sets_lie_in_one_payload_with_their_lengths():
    assert joined_sets(SETS).hex() == "78" + "0004" + "6764001e" + "0002" + "68ef"


def test_a_short_unit_is_sent_whole():
    assert payloads_of([b"\x41ab"]) == [b"\x41ab"]


def test_a_long_unit_is_sent_in_fragments_that_join_to_it():
    unit = b"\x65" + bytes(range(256)) * 12
    payloads = payloads_of([unit])
    # Indicator 0x7c: importance 3 as in 0x65, type 28. Header: start, end, type 5.
    assert [payload[0] for payload in payloads] == [0x7C] * len(payloads)
    assert [payload[1] for payload in payloads] == [0x85, 0x05, 0x45]
    assert b"\x65" + b"".join(payload[2:] for payload in payloads) == unit
    assert max(len(payload) + 12 for payload in payloads) == PACKET_MAX_BYTES


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_no_packet_is_too_long_at_the_edge(extra):
    sender = RtpSender(SETS)
    encoded = b"\0\0\0\1\x41" + bytes(PACKET_MAX_BYTES - 12 - 1 + extra)
    unit = sender.pack(encoded, pts=0, is_key=False, wall_ns=0)
    assert max(map(len, unit.packets)) <= PACKET_MAX_BYTES
    assert len(unit.packets) == (2 if extra > 0 else 1)


def test_packets_are_numbered_timed_and_the_last_of_a_picture_is_marked():
    sender = RtpSender(SETS)
    first = sender.pack(b"\0\0\0\1\x65a\0\0\0\1\x65b", pts=0, is_key=True, wall_ns=0)
    second = sender.pack(b"\0\0\0\1\x41c", pts=3000, is_key=False, wall_ns=0)
    fields = [struct.unpack("!BBHII", p[:12]) for p in (*first.packets, *second.packets)]
    assert [p[12:] for p in first.packets] == [joined_sets(SETS), b"\x65a", b"\x65b"]
    assert [f[1] for f in fields] == [96, 96, 224, 224]
    numbers = [(f[2] - fields[0][2]) & 0xFFFF for f in fields]
    assert numbers == [0, 1, 2, 3]
    assert [(f[3] - fields[0][3]) & 0xFFFFFFFF for f in fields] == [0, 0, 0, 3000]
    assert len({f[4] for f in fields}) == 1


def test_a_report_ties_the_streams_time_to_the_wall_clock():
    sender = RtpSender(SETS)
    taken_ns = 1_000_000_000_500_000_000
    unit = sender.pack(b"\0\0\0\1\x41abc", pts=0, is_key=False, wall_ns=taken_ns)
    _, _, _, rtp_time, ssrc = struct.unpack("!BBHII", unit.packets[0][:12])
    report = sender.report(taken_ns + 250_000_000)
    head = struct.unpack("!BBHIIIIII", report[:28])
    # A sender report of 6 words after the first, without report blocks.
    assert head[:4] == (0x80, 200, 6, ssrc)
    # 1900 to 1970 are 70 years with 17 leap days; three quarters of a second are 0.75 * 2^32.
    assert head[4] == 1_000_000_000 + (70 * 365 + 17) * 86_400
    assert head[5] == 3 << 30
    assert (head[6] - rtp_time) & 0xFFFFFFFF == 22_500
    assert head[7:] == (1, 4)
    assert report[28:].hex().startswith("81ca")
    assert len(report) % 4 == 0


def test_a_goodbye_is_a_compound_of_report_name_and_bye():
    kinds, rest = [], RtpSender(SETS).goodbye()
    while rest:
        _, kind, words = struct.unpack("!BBH", rest[:4])
        kinds.append(kind)
        rest = rest[4 * (words + 1) :]
    assert kinds == [201, 202, 203]
