"""RTMP, UDP and HLS as live sources, sent by FFmpeg's own program."""

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from http.server import ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from maskstream.stream.options import LiveOptions
from maskstream.stream.sources.live import LiveSource
from maskstream.stream.sources.live_start import probe
from maskstream.stream.sources.trouble import Trouble
from tests.helpers.ports import free_port
from tests.stream.sources.test_live import Files

pytestmark = pytest.mark.system

RATE = 20
LONGEST_WAIT_S = 40.0


class Sender:
    """FFmpeg's program, which sends a moving test picture at its pace."""

    def __init__(self, *target: str, size: str = "320x240") -> None:
        if shutil.which("ffmpeg") is None:
            pytest.skip("ffmpeg is not there; apt-get install ffmpeg")
        picture = ("-re", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={RATE}")
        codec = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", str(RATE))
        self._command = ["ffmpeg", "-nostdin", "-loglevel", "quiet", *picture, *codec, *target]
        self._is_over = False
        self._process = subprocess.Popen(self._command)
        self._thread = threading.Thread(target=self._stay)
        self._thread.start()

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._is_over = True
        self._process.kill()
        self._thread.join()

    def _stay(self) -> None:
        """Start again whenever it ends: as an RTMP server it has one visitor and goes with it."""
        while True:
            self._process.wait()
            if self._is_over:
                return
            self._process = subprocess.Popen(self._command)
            if self._is_over:
                self._process.kill()


class Watch:
    """Reads a source in a thread and keeps what came."""

    def __init__(self, uri: str, options: LiveOptions) -> None:
        self.uri = uri
        info = found(uri, options)
        self.size = (info.width, info.height)
        self._source = LiveSource(uri, info, options=options, threads=1)
        self.frames: list[tuple[float, float, int, int]] = []
        """When each came, its pts in seconds, its epoch and its width."""
        self._told: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self._source.stop()
        self._thread.join()

    @property
    def told(self) -> list[str]:
        self._told.extend(text.removeprefix(f"{self.uri}: ") for text in self._source.events())
        return self._told

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + LONGEST_WAIT_S
        while not condition():
            assert time.monotonic() < deadline_s, (self.told, self.frames[-2:])
            time.sleep(0.02)

    def wait_for_frames(self, count: int) -> None:
        due = len(self.frames) + count
        self.wait_for(lambda: len(self.frames) >= due)

    def wait_until_told(self, text: str) -> None:
        self.wait_for(lambda: any(text in told for told in self.told))

    def _read(self) -> None:
        for frame in self._source.frames():
            pts_s = float(frame.pts * frame.time_base)
            self.frames.append((time.monotonic(), pts_s, frame.epoch, frame.width))


def found(uri: str, options: LiveOptions):
    """What is at ``uri`` once it is there."""
    deadline_s = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline_s:
        with suppress(Trouble):
            return probe(uri, options)
        time.sleep(0.2)
    return probe(uri, options)


def are_in_order(watch: Watch) -> bool:
    return all(later[1] > earlier[1] for earlier, later in pairwise(watch.frames))


def test_udp_packets_that_stop_are_noticed_and_a_new_size_is_a_new_epoch():
    uri = f"udp://127.0.0.1:{free_port()}"
    to = ("-f", "mpegts", f"{uri}?pkt_size=1316")
    with ExitStack() as stack:
        first = stack.enter_context(Sender(*to))
        watch = stack.enter_context(Watch(uri, LiveOptions()))
        watch.wait_for_frames(30)
        first.kill()
        watch.wait_until_told("nothing came for 1 s; trying again until it is there")
        stack.enter_context(Sender(*to, size="400x200"))
        watch.wait_until_told("back after ")
        watch.wait_for(lambda: watch.frames[-1][2:] == (1, 400))
        assert watch.size == (320, 240)
        assert len(watch.told) == 2
        assert are_in_order(watch)


def test_a_udp_port_to_which_nobody_sends_is_told_in_words():
    uri = f"udp://127.0.0.1:{free_port()}"
    place = uri.removeprefix("udp://")
    with pytest.raises(Trouble) as caught:
        probe(uri, LiveOptions(timeout_s=0.5))
    assert str(caught.value) == (
        f"{uri}: nothing came to {place} within 1 s; start the sender, or check the port."
    )


def test_an_rtmp_server_that_dies_and_returns_is_taken_up_again():
    uri = f"rtmp://127.0.0.1:{free_port()}/app/live"
    to = ("-f", "flv", "-listen", "1", uri)
    with ExitStack() as stack:
        first = stack.enter_context(Sender(*to))
        watch = stack.enter_context(Watch(uri, LiveOptions(timeout_s=2.0)))
        watch.wait_for_frames(30)
        first.kill()
        watch.wait_until_told("the connection broke; trying again until it is there")
        watch.wait_until_told("(connection refused); start the server, or check host and port")
        stack.enter_context(Sender(*to, size="400x200"))
        watch.wait_for(lambda: watch.frames[-1][2:] == (1, 400))
        assert watch.told[-1].startswith("back after ")
        assert are_in_order(watch)


def test_an_rtmp_server_that_stops_is_noticed():
    uri = f"rtmp://127.0.0.1:{free_port()}/app/live"
    with Sender("-f", "flv", "-listen", "1", uri) as server:
        with Watch(uri, LiveOptions(timeout_s=2.0)) as watch:
            watch.wait_for_frames(10)
            server.signal(signal.SIGSTOP)
            watch.wait_until_told("nothing came for 2 s")
        server.signal(signal.SIGCONT)


@pytest.fixture
def playlist(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A list of segments in a folder, and its address on a web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path / "live.m3u8", f"http://127.0.0.1:{server.server_port}/live.m3u8"
        server.shutdown()
        thread.join()


def segments(path: Path) -> tuple[str, ...]:
    return ("-f", "hls", "-hls_time", "1", "-hls_list_size", "4", str(path))


def test_segments_are_played_at_their_pace_though_they_come_in_bursts(playlist):
    path, uri = playlist
    with Sender(*segments(path)), Watch(uri, LiveOptions()) as watch:
        watch.wait_for_frames(100)
        arrivals_s, times_s, _, _ = zip(*watch.frames[:100], strict=True)
        assert watch.told == []
    steps_s = [later - earlier for earlier, later in pairwise(times_s)]
    # All frames, and each 1/20 s after the one before but where the next segment was late.
    assert sum(abs(step_s - 1 / RATE) < 1e-3 for step_s in steps_s) >= 90
    # In no second come more than two seconds' frames, as they would where a list is read at once.
    most = max(sum(at <= other < at + 1 for other in arrivals_s) for at in arrivals_s)
    assert most <= 2 * RATE


def test_segments_that_stop_coming_are_noticed_and_not_shown_again(playlist):
    path, uri = playlist
    with Sender(*segments(path)) as sender, Watch(uri, LiveOptions(timeout_s=3.0)) as watch:
        watch.wait_for_frames(40)
        sender.signal(signal.SIGSTOP)
        watch.wait_until_told("nothing came for 3 s; trying again until it is there")
        count = len(watch.frames)
        time.sleep(6.0)  # connections to a list that is there and does not grow
        assert len(watch.frames) == count
        assert len(watch.told) == 1
        sender.signal(signal.SIGCONT)
        watch.wait_until_told("back after ")
        watch.wait_for_frames(20)
        assert are_in_order(watch)


def test_a_list_that_is_closed_ends_the_stream_until_there_is_a_new_one(playlist):
    path, uri = playlist
    with ExitStack() as stack:
        sender = stack.enter_context(Sender(*segments(path)))
        watch = stack.enter_context(Watch(uri, LiveOptions()))
        watch.wait_for_frames(30)
        sender.kill()
        path.write_text(path.read_text() + "#EXT-X-ENDLIST\n")
        watch.wait_until_told("the stream ended and its list is closed; trying again")
        count = len(watch.frames)
        time.sleep(3.0)
        assert len(watch.frames) == count
        told = len(watch.told)
        path.unlink()
        stack.enter_context(Sender(*segments(path), size="400x200"))
        watch.wait_for(lambda: watch.frames[-1][2:] == (1, 400))
        assert watch.told[-1].startswith("back after ")
        assert len(watch.told) <= told + 2
        assert are_in_order(watch)
