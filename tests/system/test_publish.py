"""Frames sent to receivers that come, go, hang and refuse: each in a process of its own."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from maskstream.stream.codecs.low_latency import SENT_TIME_BASE
from maskstream.stream.memory.frame import Planes
from maskstream.stream.processes.control import Done, Note, Ready
from maskstream.stream.viewers.push import push as publisher
from maskstream.stream.viewers.push.push import PublishSettings
from tests.helpers.ports import free_port
from tests.helpers.receiver import Receiver
from tests.helpers.views_feed import Viewer, viewing
from tests.helpers.writers import small_settings

pytestmark = pytest.mark.system

SIZE = (320, 240)
FPS = 25.0
RECEIVING = {
    "rtsp": ("rtsp_flags=listen", "listen_timeout=40"),
    # Without a look at seconds of video, which FFmpeg takes by default.
    "rtmp": ("listen=1", "analyzeduration=200000"),
    "udp": ("format=mpegts", "timeout=5000000", "analyzeduration=200000"),
}


@contextmanager
def sending(url: str, **others) -> Iterator[Viewer]:
    encoder = small_settings(width=SIZE[0], height=SIZE[1], time_base=SENT_TIME_BASE, crf=25)
    settings = PublishSettings(url=url, source_id=0, encoder=encoder, **others)
    with viewing(publisher.run, settings, {0: SIZE}) as viewer:
        viewer.wait_until_ready()
        yield viewer


def notes(viewer: Viewer) -> list[str]:
    return [message.text for message in viewer.said() if isinstance(message, Note)]


def is_told(viewer: Viewer, text: str) -> Callable[[], bool]:
    return lambda: any(text in note for note in notes(viewer))


def busy_s(viewer: Viewer) -> float:
    """For how long the viewer has been busy with what it does."""
    busy = viewer.page.busy_on()
    return 0.0 if busy is None else (time.monotonic_ns() - busy[1]) / 1e9


@pytest.mark.parametrize(
    "address", ["rtsp://127.0.0.1:{}/live", "rtmp://127.0.0.1:{}/app/live", "udp://127.0.0.1:{}"]
)
def test_numbered_frames_arrive_in_order_and_the_end_is_told(address):
    url = address.format(free_port(socket.SOCK_DGRAM if "udp" in address else socket.SOCK_STREAM))
    scheme = url.partition(":")[0]
    with Receiver(url, *RECEIVING[scheme]) as receiver, sending(url) as viewer:
        with viewer.playing(FPS):
            receiver.wait_for_frames(50)
        viewer.end()
        assert [type(word) for word in viewer.words()] == [Ready, Done]
        receiver.wait_for(lambda: receiver.end is not None)
        assert receiver.numbers == sorted(set(receiver.numbers))
        # Frames that the viewer had no time for are left out, and no others.
        assert len(receiver.numbers) >= 0.9 * viewer.page.given
        assert receiver.frames[0]["size"] == list(SIZE)
        first, last = receiver.frames[2], receiver.frames[-1]
        assert last["pts_s"] - first["pts_s"] == pytest.approx(
            (last["number"] - first["number"]) / 30, abs=0.01
        )


def test_a_receiver_that_is_away_dies_and_returns_gets_frames_each_time():
    url = f"rtsp://127.0.0.1:{free_port()}/live"
    with sending(url) as viewer, viewer.playing(FPS):
        viewer.wait_for(is_told(viewer, "connection refused"), "say that nobody listens")
        with Receiver(url, *RECEIVING["rtsp"]) as first:
            first.wait_for_frames(10)
        viewer.wait_for(is_told(viewer, "the receiver is gone"), "say that the receiver is gone")
        time.sleep(2.0)  # some tries in vain
        with Receiver(url, *RECEIVING["rtsp"]) as second:
            second.wait_for_frames(10)
            assert second.numbers[0] > first.numbers[-1]
            viewer.wait_for(lambda: len(notes(viewer)) >= 5, "say that it is back")
        told = [note.removeprefix(f"{url}: ") for note in notes(viewer)]
    place = url.removeprefix("rtsp://").partition("/")[0]
    refused = (
        f"nothing listens at {place} (connection refused); start the server, or check host and "
        "port; trying again until it is there."
    )
    assert told[0] == refused
    assert told[1].startswith("back after ")
    assert told[2].startswith("the receiver is gone, or no longer reads (")
    assert told[3] == refused
    assert told[4].startswith("back after ")


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp"])
def test_a_receiver_that_stops_reading_is_given_up_and_taken_up_again(scheme):
    url = f"{scheme}://127.0.0.1:{free_port()}/app/live"
    with Receiver(url, *RECEIVING[scheme]) as receiver, sending(url) as viewer:
        with viewer.playing(FPS):
            receiver.wait_for_frames(5)
        receiver.signal(signal.SIGSTOP)
        noise, busiest_s = Noise(), 0.0  # fills the buffers in between soon

        def is_given_up() -> bool:
            nonlocal busiest_s
            viewer.feeds[0].show(noise.paint)
            busiest_s = max(busiest_s, busy_s(viewer))
            return is_told(viewer, "the receiver took nothing for 3 s")()

        viewer.wait_for(is_given_up, "give the receiver up")
        assert busiest_s < 5.0
        receiver.close()
        with Receiver(url, *RECEIVING[scheme]) as again, viewer.playing(FPS):
            again.wait_for_frames(5)


def test_a_server_that_says_nothing_is_told_apart_and_does_not_look_like_a_hang():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        with sending(f"rtsp://{place}/live", timeout_s=1.0) as viewer, viewer.playing(FPS):
            viewer.wait_for(is_told(viewer, "then says nothing for 1 s"), "say so")
            busiest_s = 0.0
            for _ in range(300):
                busiest_s = max(busiest_s, busy_s(viewer))
                time.sleep(0.01)
            assert busiest_s < 5.0
            assert len(notes(viewer)) == 1


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("401 Unauthorized", "wrong user or password; check both"),
        ("404 Not Found", "the server does not accept the stream (server returned 404 not found)"),
        ("403 Forbidden", "the server does not accept the stream (server returned 403 forbidden"),
        ("405 Method Not Allowed", "the server does not accept the stream ("),
    ],
)
def test_a_server_that_refuses_is_told_apart_and_its_password_not_shown(status, text, monkeypatch):
    monkeypatch.setenv("SEND_PASS", "hid@den:1")
    with Refusing(status) as place:
        url = f"rtsp://me:${{SEND_PASS}}@{place}/live"
        with sending(url) as viewer, viewer.playing(FPS):
            viewer.wait_for(is_told(viewer, text), f"say {text}")
            assert notes(viewer)[0].startswith(f"rtsp://me:***@{place}/live: ")
            assert "hid" not in "".join(notes(viewer))
            assert "hid" not in Path(f"/proc/{viewer.pid}/cmdline").read_text()


class Noise:
    """Fills pictures so that they cannot be compressed."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(1)

    def paint(self, planes: Planes) -> None:
        rows = planes.y[SIZE[1] // 8 :]
        rows[...] = self._chance.integers(0, 255, rows.shape, np.uint8)


class Refusing:
    """An RTSP server that gives one answer to whoever announces a stream."""

    def __init__(self, status: str) -> None:
        self._status = status
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._answer)

    def __enter__(self) -> str:
        self._thread.start()
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _answer(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                with peer, suppress(OSError):
                    while request := peer.recv(65536).decode():
                        if "CSeq: " not in request:
                            continue  # the description, sent after its head
                        sequence = request.split("CSeq: ")[1].split("\r\n")[0]
                        status = "200 OK" if request.startswith("OPTIONS") else self._status
                        extra = 'WWW-Authenticate: Digest realm="r", nonce="n"\r\n'
                        peer.sendall(
                            f"RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{extra}\r\n".encode()
                        )
