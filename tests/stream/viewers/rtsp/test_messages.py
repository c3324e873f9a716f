import asyncio

import pytest

from maskstream.stream.viewers.rtsp.messages import (
    HEAD_MAX_BYTES,
    BadRequest,
    Transport,
    answer,
    parse_request,
    parse_transport,
    read_message,
)


def read(data: bytes):
    async def reading():
        reader = asyncio.StreamReader(limit=HEAD_MAX_BYTES)
        reader.feed_data(data)
        reader.feed_eof()
        return await read_message(reader)

    return asyncio.run(reading())


def test_a_request_is_read_with_its_headers():
    request = read(
        b"DESCRIBE rtsp://u:p@h:1/hall/door/?x=1 RTSP/1.0\r\nCSeq: 2\r\nX-Y:  z \r\n\r\n"
    )
    assert (request.method, request.name) == ("DESCRIBE", "hall/door")
    assert request.headers == {"cseq": "2", "x-y": "z"}
    assert request.base == "rtsp://h:1/hall/door/"


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a", "a"), ("/a/track1", "a"), ("/a/track1/", "a"), ("/%61", "a"),
     ("/../etc/x", "../etc/x")],
)  # fmt: skip
def test_the_name_is_what_the_path_says_without_the_track(path, name):
    assert parse_request(f"SETUP rtsp://h{path} RTSP/1.0\r\n\r\n".encode()).name == name


def test_packets_and_empty_lines_in_between_are_no_requests():
    assert read(b"$\1\0\3abc") is None
    assert read(b"\r\n") is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 505),
        (b"describe rtsp://h/a RTSP/1.0\r\n\r\n", 400),
        (b"OPTIONS rtsp://[h/a RTSP/1.0\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\n" + b"A: b\r\n" * 100 + b"\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nX: " + b"y" * 100_000, 413),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: 99999999999999\r\n\r\n", 413),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n", 400),
    ],
)
def test_what_makes_no_sense_is_refused(data, status):
    with pytest.raises(BadRequest) as caught:
        read(data)
    assert caught.value.status == status


def test_a_body_is_read_over():
    assert (
        read(b"GET_PARAMETER * RTSP/1.0\r\nContent-Length: 3\r\n\r\nabc").method == "GET_PARAMETER"
    )
    with pytest.raises(asyncio.IncompleteReadError):
        read(b"GET_PARAMETER * RTSP/1.0\r\nContent-Length: 3\r\n\r\nab")


@pytest.mark.parametrize(
    ("text", "transport"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=4-5", Transport("tcp", 4, 5)),
        ("RTP/AVP/TCP;unicast", Transport("tcp", 0, 1)),
        ("RTP/AVP;unicast;client_port=5000-5001", Transport("udp", 5000, 5001)),
        ("RTP/AVP/UDP;unicast;client_port=5000;mode=play", Transport("udp", 5000, 5001)),
        ("RTP/AVP;multicast, RTP/AVP/TCP;interleaved=0-1", Transport("tcp", 0, 1)),
        ("RTP/AVP;client_port=5000-5001;destination=10.0.0.9", Transport("udp", 5000, 5001)),
    ],
)
def test_a_transport_is_chosen(text, transport):
    assert parse_transport(text) == transport


@pytest.mark.parametrize(
    "text",
    ["", "RTP/SAVP;client_port=5000", "RTP/AVP;multicast", "RTP/AVP;client_port=22-23",
     "RTP/AVP/TCP;interleaved=300-301", "RTP/AVP;client_port=65535", "RTP/AVP/TCP;interleaved=x"],
)  # fmt: skip
def test_other_transports_are_refused(text):
    with pytest.raises(BadRequest) as caught:
        parse_transport(text)
    assert caught.value.status == 461


def test_an_answer_has_the_number_of_its_request_and_the_length_of_its_body():
    assert answer(200, "7", {"Session": "x"}, b"v=0\r\n") == (
        b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nSession: x\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    )
