"""The RTSP server as players meet it: FFmpeg's, in processes of their own."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import av.error
import numpy as np
import pytest

from maskstream.errors import ConfigError
from maskstream.stream.codecs.low_latency import SENT_TIME_BASE
from maskstream.stream.memory.frame import Planes
from maskstream.stream.processes.control import Done, Note, Ready
from maskstream.stream.viewers.rtsp import server as rtsp_server
from maskstream.stream.viewers.rtsp.server import (
    RtspServerSettings,
    open_listener,
    parse_rtsp_server,
)
from tests.helpers.receiver import AT_ONCE, Receiver
from tests.helpers.views_feed import Viewer, viewing
from tests.helpers.writers import small_settings
from tests.stream.conftest import descriptors

SIZE = (320, 240)
FPS = 25.0
OVER_TCP = ("rtsp_transport=tcp", *AT_ONCE)
OVER_UDP = ("rtsp_transport=udp", *AT_ONCE)


@contextmanager
def serving(*addresses: str) -> Iterator[tuple[Viewer, list[str]]]:
    """A viewer with a source for each address, and the addresses for players."""
    parsed = [parse_rtsp_server(text) for text in addresses]
    with open_listener(parsed[0]) as listener:
        port = listener.getsockname()[1]
        encoder = small_settings(width=SIZE[0], height=SIZE[1], time_base=SENT_TIME_BASE, crf=25)
        settings = RtspServerSettings(
            listener=listener,
            mounts=dict(enumerate(parsed)),
            encoders=dict.fromkeys(range(len(parsed)), encoder),
        )
        sizes = dict.fromkeys(range(len(parsed)), SIZE)
        with viewing(rtsp_server.run, settings, sizes) as viewer:
            viewer.wait_until_ready()
            yield viewer, [f"rtsp://127.0.0.1:{port}/{address.name}" for address in parsed]


@pytest.fixture
def watch() -> Iterator[object]:
    with ExitStack() as receivers:
        yield lambda url, *options: receivers.enter_context(Receiver(url, *options))


def is_gapless(numbers: list[int]) -> bool:
    return all(later == earlier + 1 for earlier, later in pairwise(numbers))


def has_taken(viewer: Viewer, count: int) -> bool:
    return viewer.page.taken >= count


def resident_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4


def test_players_over_tcp_and_udp_see_all_frames_in_order_and_the_end(watch):
    with serving("rtsp-server://127.0.0.1:0/door") as (viewer, (url,)):
        with viewer.playing(FPS):
            players = [
                watch(url, *OVER_TCP),
                watch(url, *OVER_UDP),
            ]
            for player in players:
                player.wait_for_frames(40)
            late = watch(url, *OVER_TCP)
            late.wait_for_frames(10)
        viewer.end()
        for player in (*players, late):
            player.wait_for(lambda player=player: player.end is not None)
            assert player.end == "eof"
            assert player.numbers == sorted(set(player.numbers))
        # The machine may have kept a frame from the viewer, and UDP may lose one; TCP loses none.
        sent = viewer.page.given
        assert len(players[0].numbers) >= 0.9 * (
            viewer.feeds[0].next_number - players[0].numbers[0]
        )
        assert len(players[0].numbers) <= sent
        assert set(late.numbers) <= set(players[0].numbers)
        assert late.numbers[0] > players[0].numbers[20]
        assert players[0].frames[0]["size"] == list(SIZE)
        assert [type(word) for word in viewer.words()] == [Ready, Done]


def test_frame_times_are_the_sources_own(watch):
    with serving("rtsp-server://127.0.0.1:0/door") as (viewer, (url,)):
        with viewer.playing(FPS):
            player = watch(url, *OVER_TCP)
            player.wait_for_frames(20)
        first, *_, last = player.frames[2:20]
        # The feed's frames are 1/30 s apart, however fast they are shown.
        assert last["pts_s"] - first["pts_s"] == pytest.approx(
            (last["number"] - first["number"]) / 30, abs=1e-3
        )


def test_a_player_that_stops_reading_slows_no_other_and_goes_on_with_whole_pictures(watch):
    chance = np.random.default_rng(1)

    def paint(planes: Planes) -> None:
        """Noise below the stamp: a megabyte a second, so that every buffer is full soon."""
        rows = planes.y[SIZE[1] // 8 :]
        rows[...] = chance.integers(60, 200, rows.shape, np.uint8)

    def show(count: int) -> None:
        for _ in range(count):
            viewer.show(paint=paint)
            time.sleep(1 / FPS)

    with serving("rtsp-server://127.0.0.1:0/door") as (viewer, (url,)):
        stopped, other = watch(url, *OVER_TCP), watch(url, *OVER_TCP)
        while min(len(stopped.numbers), len(other.numbers)) < 10:
            show(1)
        stopped.signal(signal.SIGSTOP)
        seen, before_kib = len(other.numbers), resident_kib(viewer.pid)
        show(120)
        other.wait_for_frames(seen + 100)
        assert resident_kib(viewer.pid) - before_kib < 20_000
        stopped.signal(signal.SIGCONT)
        while is_gapless(stopped.numbers):  # it has what lay in the buffers first
            show(1)
        count = len(stopped.numbers)
        while len(stopped.numbers) < count + 10:
            show(1)
        # All pictures could be read, so each was sent whole and after what it builds on.
        assert stopped.numbers == sorted(set(stopped.numbers))
        assert len(other.numbers) > len(stopped.numbers) + 20


def test_nothing_is_encoded_while_nobody_watches_and_again_when_somebody_does(watch):
    with serving("rtsp-server://127.0.0.1:0/door") as (viewer, (url,)), viewer.playing(FPS):
        viewer.wait_for(lambda: viewer.page.taken >= 10, "take frames")
        assert viewer.page.given == 0
        with Receiver(url, *OVER_TCP) as player:
            player.wait_for_frames(5)
        given = -1
        while given != viewer.page.given:
            given, due = viewer.page.given, viewer.page.taken + 15
            viewer.wait_for(partial(has_taken, viewer, due), "take frames")
        again = watch(url, *OVER_TCP)
        again.wait_for_frames(5)
        assert viewer.page.given > given


def test_two_streams_on_one_port_end_one_by_one(watch):
    addresses = ("rtsp-server://127.0.0.1:0/a", "rtsp-server://127.0.0.1:0/hall/b")
    with serving(*addresses) as (viewer, (first_url, second_url)):
        with viewer.playing(FPS):
            first, second = watch(first_url, *OVER_TCP), watch(second_url, *OVER_TCP)
            first.wait_for_frames(5)
            second.wait_for_frames(5)
        viewer.end(0)
        first.wait_for(lambda: first.end == "eof")
        with pytest.raises(av.error.HTTPNotFoundError):
            av.open(first_url)
        count = len(second.numbers)
        with viewer.playing(FPS, source_ids=(1,)):
            second.wait_for_frames(count + 10)
        assert second.end is None


def test_only_who_knows_the_password_may_watch(watch, monkeypatch):
    monkeypatch.setenv("VIEW_PASS", 'p@s:s"w%')
    address = "rtsp-server://viewer:${VIEW_PASS}@127.0.0.1:0/door"
    with serving(address) as (viewer, (url,)), viewer.playing(FPS):
        host = url.removeprefix("rtsp://")
        for wrong in (url, f"rtsp://viewer:guess@{host}", f"rtsp://x:p%40s%3As%22w%25@{host}"):
            with pytest.raises(av.error.HTTPUnauthorizedError):
                av.open(wrong)
        player = watch(f"rtsp://viewer:p%40s%3As%22w%25@{host}", *OVER_TCP)
        player.wait_for_frames(5)


class Talk:
    """A connection that says what it likes."""

    def __init__(self, url: str) -> None:
        place = url.removeprefix("rtsp://").partition("/")[0].split(":")
        self.socket = socket.create_connection((place[0], int(place[1])), timeout=30)

    def __enter__(self) -> "Talk":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, text: str | bytes) -> None:
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def ask(self, request: str) -> str:
        self.say(f"{request}\r\n\r\n")
        return self.socket.recv(65536).decode()

    def is_closed(self) -> bool:
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            return True
        return True


def status_of(answer: str) -> int:
    return int(answer.split(" ")[1])


def test_a_session_is_set_up_played_paused_and_torn_down_in_order():
    with serving("rtsp-server://127.0.0.1:0/door") as (viewer, (url,)), Talk(url) as talk:
        assert "PLAY" in talk.ask("OPTIONS * RTSP/1.0\r\nCSeq: 1")
        described = talk.ask(f"DESCRIBE {url} RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp")
        assert f"Content-Base: {url}/" in described
        assert "a=rtpmap:96 H264/90000" in described
        assert "sprop-parameter-sets=Z" in described
        assert status_of(talk.ask(f"PLAY {url} RTSP/1.0\r\nCSeq: 3")) == 454
        set_up = talk.ask(
            f"SETUP {url}/track1 RTSP/1.0\r\nCSeq: 4\r\nTransport: RTP/AVP/TCP;interleaved=0-1"
        )
        session = next(
            line.removeprefix("Session: ").partition(";")[0]
            for line in set_up.split("\r\n") if line.startswith("Session: ")
        )  # fmt: skip
        assert status_of(talk.ask(f"PLAY {url} RTSP/1.0\r\nCSeq: 5\r\nSession: wrong")) == 454
        header = f"\r\nSession: {session}"
        assert status_of(talk.ask(f"PLAY {url} RTSP/1.0\r\nCSeq: 6{header}")) == 200
        viewer.show()
        packet = b""
        while len(packet) < 20:
            packet += talk.socket.recv(65536)
        assert packet[:2] == b"$\0"  # channel 0, and in it the parameter sets first
        assert packet[4:6] == b"\x80\x60"
        assert packet[16] == 0x78
        while packet:  # all of the picture, and a report
            talk.socket.settimeout(0.5)
            try:
                packet = talk.socket.recv(65536)
            except TimeoutError:
                break
        talk.socket.settimeout(30)
        assert status_of(talk.ask(f"GET_PARAMETER {url} RTSP/1.0\r\nCSeq: 7{header}")) == 200
        assert status_of(talk.ask(f"PAUSE {url} RTSP/1.0\r\nCSeq: 8{header}")) == 200
        assert status_of(talk.ask(f"RECORD {url} RTSP/1.0\r\nCSeq: 9{header}")) == 501
        assert status_of(talk.ask(f"TEARDOWN {url} RTSP/1.0\r\nCSeq: 10{header}")) == 200
        assert talk.is_closed()


def test_strangers_get_nothing_and_cost_little_while_a_player_goes_on(watch):
    with serving("rtsp-server://u:secret-1@127.0.0.1:0/door") as (viewer, (url,)):
        with viewer.playing(FPS), ExitStack() as resources:
            player = watch(url.replace("//", "//u:secret-1@"), *OVER_TCP)
            player.wait_for_frames(5)
            before_kib = resident_kib(viewer.pid)
            for garbage in (
                b"\0" * 100_000,
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"DESCRIBE " + b"a" * 1_000_000,
                b"OPTIONS * RTSP/1.0\r\n" + b"X: y\r\n" * 10_000,
                b"OPTIONS * RTSP/1.0\r\nContent-Length: 999999999\r\n\r\n",
            ):
                with Talk(url) as talk:
                    try:
                        talk.say(garbage)
                    except ConnectionError:
                        continue  # cut off before the end
                    assert talk.is_closed()
            for path in ("../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "door/../x", "etc/passwd"):
                with Talk(url) as talk:
                    base = url.rpartition("/")[0]
                    assert status_of(talk.ask(f"DESCRIBE {base}/{path} RTSP/1.0\r\nCSeq: 1")) == 404
            with Talk(url) as talk:
                for number in range(5):
                    wrong = f'Digest username="u", response="{number}", uri="{url}"'
                    header = f"CSeq: 1\r\nAuthorization: {wrong}"
                    assert status_of(talk.ask(f"DESCRIBE {url} RTSP/1.0\r\n{header}")) == 401
                assert talk.is_closed()
            for _ in range(200):
                resources.enter_context(Talk(url))
            count = len(player.numbers)
            player.wait_for_frames(count + 25)
            with Talk(url) as talk:
                assert status_of(talk.ask("OPTIONS * RTSP/1.0\r\nCSeq: 1")) == 200
            sockets = [one for one in descriptors(viewer.pid) if one.startswith("socket:")]
            assert len(sockets) < 90
            assert resident_kib(viewer.pid) - before_kib < 30_000
        assert viewer.process.is_alive()
        assert [said.text for said in viewer.said() if isinstance(said, Note)] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rtsp-server://127.0.0.1:8554", "no name for a stream"),
        ("rtsp-server://127.0.0.1:8554/a b", "no name for a stream"),
        ("rtsp-server://127.0.0.1:8554/../a?x", "no name for a stream"),
        ("rtsp-server://127.0.0.1/a", "an IP address, a port and a name are needed"),
        ("rtsp-server://example.org:8554/a", "an IP address, a port and a name are needed"),
        ("rtsp-server://127.0.0.1:99999/a", "an IP address, a port and a name are needed"),
        ("rtsp-server://0.0.0.0:8554/a", "other machines could watch there"),
        ("rtsp-server://user@0.0.0.0:8554/a", "other machines could watch there"),
        ("rtsp-server://u:${NOT_SET_HERE}@0.0.0.0:1/a", "NOT_SET_HERE is not set"),
    ],
)
def test_an_address_that_cannot_be_served_is_refused_in_words(text, problem):
    with pytest.raises(ConfigError, match=problem):
        parse_rtsp_server(text)


def test_an_address_is_read_and_its_password_not_shown(monkeypatch):
    monkeypatch.setenv("VIEW_PASS", "s3cret")
    address = parse_rtsp_server("rtsp-server://viewer:${VIEW_PASS}@0.0.0.0:8554/hall/door")
    assert (address.host, address.port, address.name) == ("0.0.0.0", 8554, "hall/door")
    assert parse_rtsp_server("rtsp-server://[::1]:8554/a").url == "rtsp://[::1]:8554/a"
    assert "s3cret" not in repr(address)


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address = parse_rtsp_server(f"rtsp-server://127.0.0.1:{port}/a")
        with pytest.raises(ConfigError, match=r"cannot be taken \(Address already in use\)"):
            open_listener(address)


def test_a_players_join_brings_its_first_picture_soon(watch):
    with serving("rtsp-server://127.0.0.1:0/door") as (viewer, (url,)), viewer.playing(FPS):
        first = watch(url, *OVER_TCP)
        first.wait_for_frames(3)
        begun_s = time.monotonic()
        late = watch(url, *OVER_TCP)
        late.wait_for_frames(1)
        assert time.monotonic() - begun_s < 20  # a process started on a busy machine
