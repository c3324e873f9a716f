"""Live sources over HTTP, from a small server in this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import cv2
import numpy as np
import pytest

from maskstream.errors import ConfigError
from maskstream.stream.memory.frame import planes_of
from maskstream.stream.options import LiveOptions
from maskstream.stream.sources.live import LiveSource
from maskstream.stream.sources.live_open import check_live
from maskstream.stream.sources.live_start import ABSENT_SIZE, find_live, probe
from maskstream.stream.sources.trouble import Trouble
from tests.helpers.clips import make_clip


class Pictures(BaseHTTPRequestHandler):
    """Sends JPEGs as a camera's web page does, then closes; each visit in another size."""

    visits = 0
    per_visit = 12

    def do_GET(self):
        if self.path != "/video":
            self.send_error(404 if self.path == "/nowhere" else 401)
            return
        type(self).visits += 1
        side = 64 if self.visits <= 2 else 96
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
        self.end_headers()
        for number in range(self.per_visit):
            picture = np.full((side, side, 3), 10 * number, np.uint8)
            data = cv2.imencode(".jpg", picture)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except ConnectionError:
                return  # the viewer has seen enough
            time.sleep(0.02)

    def log_message(self, *_):
        """Keep quiet."""


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Keep quiet."""


@contextmanager
def serving(handler) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_stream_that_ends_is_opened_again_and_a_new_size_is_a_new_epoch():
    class Camera(Pictures):
        visits = 0

    with serving(Camera) as address:
        uri = f"{address}/video"
        info = probe(uri, LiveOptions())
        assert (info.kind, info.width, info.height, info.codec) == ("live", 64, 64, "mjpeg")
        source = LiveSource(uri, info, options=LiveOptions(), threads=1)
        planes = planes_of(np.zeros(64 * 96, np.uint8), 64, 64)
        frames = []
        for frame in source.frames():
            frame.write_into(planes)
            frames.append((frame.pts, frame.epoch, frame.width))
            if len(frames) >= 2 * Camera.per_visit - 2:
                source.stop()
    assert {frame[1:] for frame in frames} == {(0, 64), (1, 96)}
    assert all(later[0] > earlier[0] for earlier, later in pairwise(frames))
    lost, back = source.events()
    # A web page of pictures has no end of its own: that it stops is a broken connection.
    assert lost == f"{uri}: the connection broke; trying again until it is there."
    assert back.startswith(f"{uri}: back after ")


def test_a_recording_on_a_web_server_is_read_once_and_ends(tmp_path):
    make_clip(tmp_path / "clip.mkv", pts=range(150))
    with serving(partial(Files, directory=str(tmp_path))) as address:
        uri = f"{address}/clip.mkv"
        info = probe(uri, LiveOptions())
        assert info.kind == "file"
        assert info.duration_s == pytest.approx(6.0, abs=0.1)
        source = LiveSource(uri, info, options=LiveOptions(), threads=1)
        times = [frame.pts for frame in source.frames()]
        assert times == [3600 * number for number in range(150)]  # 25 a second
        assert (source.error, list(source.events())) == (None, [])


@pytest.mark.parametrize(
    ("path", "kind"), [("nowhere", "not_found"), ("private", "unauthorized")]
)  # fmt: skip
def test_a_web_servers_refusals_are_told_apart(path, kind):
    with serving(Pictures) as address, pytest.raises(Trouble) as caught:
        probe(f"{address}/{path}", LiveOptions())
    assert caught.value.kind == kind


def test_a_source_that_is_away_gets_a_usual_canvas_where_there_are_others():
    notes: list[str] = []
    uri = "rtsp://u:secret@127.0.0.1:9/x"
    (info,) = find_live([uri], LiveOptions(), has_others=True, on_note=notes.append)
    assert (info.width, info.height, info.kind) == (*ABSENT_SIZE, "live")
    assert [note for note in notes if "secret" in note] == []
    assert notes[-1].endswith("the run starts without it; its pictures will be fitted into "
                              "1280x720 when it comes.")  # fmt: skip


def test_a_source_that_refuses_us_ends_the_search_though_another_is_there():
    with serving(Pictures) as address:
        uris = [f"{address}/video", f"{address}/private"]
        with pytest.raises(Trouble, match="asks for a user"):
            find_live(uris, LiveOptions(), has_others=False, on_note=lambda _: None)


def test_stopping_a_source_that_is_away_takes_no_time():
    uri = "rtsp://127.0.0.1:9/x"
    (info,) = find_live([uri], LiveOptions(), has_others=True, on_note=lambda _: None)
    source = LiveSource(uri, info, options=LiveOptions(), threads=1)
    reader = threading.Thread(target=lambda: list(source.frames()))
    reader.start()
    time.sleep(0.2)
    begun_s = time.monotonic()
    source.stop()
    reader.join()
    assert time.monotonic() - begun_s < 1.0


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("rtsp://u:secret@127.0.0.1:notaport/x", r"rtsp://u:\*\*\*@127.0.0.1:notaport/x: no host"),
        ("rtsp://:554/x", "write rtsp://HOST:PORT/PATH"),
        ("rstp://camera/x", r"did you mean rtp:// or rtsp://\?"),
    ],
)
def test_an_address_that_can_never_be_read_is_refused_at_once(uri, text):
    with pytest.raises(ConfigError, match=text):
        check_live(uri)


@pytest.mark.parametrize("uri", ["udp://:5000", "udp://@:5000", "rtsp://camera/x", "http://h:80/x"])
def test_an_address_that_may_be_there_is_not(uri):
    check_live(uri)
