"""Cameras that send JPEGs over HTTP with something missing."""

import socket
import threading
import time
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from maskstream.stream.options import LiveOptions
from maskstream.stream.sources.http_pictures import without_rate
from maskstream.stream.sources.live import LiveSource
from maskstream.stream.sources.live_start import probe

TYPE = b"Content-Type: image/jpeg\r\n"
MULTIPART = b"Content-Type: multipart/x-mixed-replace; boundary=frame\r\n"


def jpeg(number):
    return cv2.imencode(".jpg", np.full((48, 64, 3), 20 * (number % 10), np.uint8))[1].tobytes()


def length(data):
    return b"Content-Length: %d\r\n" % len(data)


def no_first(data):
    return TYPE + length(data) + b"\r\n" + data + b"\r\n--frame\r\n"


def no_type(data):
    return b"--frame\r\n" + length(data) + b"\r\n" + data + b"\r\n"


def no_head(data):
    return b"--frame\r\n\r\n" + data + b"\r\n"


def bare(data):
    return data


@contextmanager
def camera(part, *, is_single=False, period_s=0.05):
    """Serve pictures; yield the address and the times at which it was asked."""
    asked: list[float] = []
    over = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def serve(visitor):
        with visitor:
            try:
                visitor.recv(65536)
                asked.append(time.monotonic())
                if is_single:
                    data = jpeg(len(asked))
                    visitor.sendall(b"HTTP/1.1 200 OK\r\n" + TYPE + length(data) + b"\r\n" + data)
                    return
                visitor.sendall(b"HTTP/1.1 200 OK\r\n" + MULTIPART + b"\r\n")
                for number in range(1000):
                    visitor.sendall(part(jpeg(number)))
                    if over.wait(period_s):
                        return
            except OSError:
                return

    def accept():
        while not over.is_set():
            try:
                visitor, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(visitor,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/stream", asked
    finally:
        over.set()
        server.close()


def some_frames(uri, count):
    info = probe(uri, LiveOptions())
    assert (info.kind, info.width, info.height) == ("live", 64, 48)
    source = LiveSource(uri, info, options=LiveOptions(), threads=1)
    times_s = []
    for frame in source.frames():
        times_s.append(float(frame.pts * frame.time_base))
        if len(times_s) == count:
            source.stop()
    return times_s


@pytest.mark.parametrize("part", [no_first, no_type, no_head, bare])
def test_pictures_are_cut_by_their_markers_where_parts_are_not_described(part):
    with camera(part) as (uri, _):
        times_s = some_frames(uri, 10)
    assert len(times_s) == 10
    # Timed by their arrival, 1/20 s apart, and not by a rate that is made up.
    assert (times_s[-1] - times_s[0]) / 9 == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize(("query", "period_s"), [("?fps=10", 0.1), ("?a=1&fps=5", 0.2)])
def test_an_address_of_one_picture_is_asked_again_and_again(query, period_s):
    with camera(bare, is_single=True) as (uri, asked):
        times_s = some_frames(uri + query, 6)
    assert len(times_s) == 6
    assert len(asked) >= 8
    assert (asked[-1] - asked[-5]) / 4 == pytest.approx(period_s, abs=period_s / 2)


def test_the_rate_is_taken_off_the_address():
    assert without_rate("http://h/s.jpg?a=1&fps=2.5&b=") == ("http://h/s.jpg?a=1&b=", 2.5)
    assert without_rate("http://h/s.jpg?x=%20") == ("http://h/s.jpg?x=%20", 1.0)
