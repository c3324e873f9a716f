"""Servers that are there and send nothing for a while, over TCP on loopback."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

from maskstream.stream.options import LiveOptions
from maskstream.stream.sources.live import LiveSource
from maskstream.stream.sources.live_open import Patience, is_live
from maskstream.stream.sources.live_start import find_live, probe
from maskstream.stream.sources.trouble import Trouble
from tests.helpers.clips import make_clip


@contextmanager
def sending(pieces):
    """Serve each visitor the pieces, each after so many seconds; yield the address."""
    over = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def serve(visitor):
        with visitor:
            try:
                for wait_s, data in pieces:
                    if over.wait(wait_s):
                        return
                    visitor.sendall(data)
                over.wait(20)
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
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        over.set()
        server.close()


def broadcast(path, count=50, options=None):
    return make_clip(path, pts=range(count), options=options or {"qp": "20", "bf": "0"})


@pytest.mark.parametrize("silence_s", [2.0, 4.0])
def test_a_server_that_waits_for_its_next_key_picture_is_shown_after_the_wait(tmp_path, silence_s):
    data = broadcast(tmp_path / "a.ts").read_bytes()
    notes: list[str] = []
    with sending([(silence_s, data)]) as uri:
        (info,) = find_live([uri], LiveOptions(), has_others=False, on_note=notes.append)
    assert (info.width, info.height) == (64, 48)


def test_what_comes_before_the_first_key_picture_is_not_undecodable(tmp_path):
    options = {"qp": "20", "bf": "0", "x264-params": "keyint=300:scenecut=0"}
    data = broadcast(tmp_path / "a.ts", count=500, options=options).read_bytes()
    packet_bytes = 188
    late = data[packet_bytes * 30 :]  # 270 pictures or so before the next key picture
    with sending([(0, late)]) as uri:
        assert probe(uri, LiveOptions()).width == 64


def test_a_connection_that_was_silent_from_the_start_is_given_longer_the_next_time(tmp_path):
    patience = Patience()
    pieces = [(0, broadcast(tmp_path / "a.ts").read_bytes()[:188]), (20, b"")]
    with sending(pieces) as uri, pytest.raises(Trouble):
        probe(uri, LiveOptions(), patience)
    for _ in range(10):
        patience.grow(1.0)
    assert patience.needed_s == 40.0


def test_the_pace_of_a_source_is_learned_and_forgotten():
    patience = Patience()
    patience.learn(5.0)
    assert patience.needed_s == 15.0
    patience.learn(0.04)
    assert patience.needed_s < 1.0


def test_a_camera_with_a_picture_every_few_seconds_is_not_lost(tmp_path):
    data = broadcast(tmp_path / "a.ts", count=60).read_bytes()
    third = len(data) // 188 // 6 * 188
    pieces = [(0, data[: 2 * third]), *((2.5, data[n * third : (n + 1) * third]) for n in (2, 3))]
    with sending(pieces) as uri:
        info = probe(uri, LiveOptions())
        source = LiveSource(uri, info, options=LiveOptions(), threads=1)
        begun_s, count = time.monotonic(), 0
        for _ in source.frames():
            count += 1
            if time.monotonic() - begun_s > 12 or count >= 100:
                source.stop()
        assert count > 30


def test_a_description_of_rtp_is_a_live_source_that_waits_for_its_sender(tmp_path):
    path = tmp_path / "cam.sdp"
    path.write_text(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=cam\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 45604 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1\n"
    )
    assert is_live(str(path))
    with pytest.raises(Trouble, match=r"cam\.sdp: nothing came for 0\.5 s") as caught:
        probe(str(path), LiveOptions(timeout_s=0.5))
    assert caught.value.kind == "silent"


def test_srt_says_what_is_missing():
    with pytest.raises(Trouble, match="the FFmpeg of this PyAV has no SRT") as caught:
        probe("srt://127.0.0.1:9999", LiveOptions())
    assert caught.value.kind == "unsupported"
