"""The thread that talks to players, in this process, with times and limits made small."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from maskstream.stream.errors import StageError
from maskstream.stream.viewers.rtsp import connection as rtsp_connection
from maskstream.stream.viewers.rtsp import host as rtsp_host
from maskstream.stream.viewers.rtsp.host import RtspHost
from maskstream.stream.viewers.rtsp.mount import Mount
from maskstream.stream.viewers.rtsp.rtp_h264 import ParameterSets

SETS = ParameterSets(b"\x67\x64\x00\x1e", b"\x68\xef")
KEY = b"\0\0\0\1\x65" + bytes(100)


@contextmanager
def hosting() -> Iterator[tuple[RtspHost, Mount, tuple[str, int]]]:
    mount = Mount("a", SETS, frame_rate=25.0, credentials=None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()
        host = RtspHost(listener, [mount])
        host.start()
        try:
            yield host, mount, place
        finally:
            host.stop()


class Visitor:
    """A connection, and where its packets arrive if it plays over UDP."""

    def __init__(self, place: tuple[str, int]) -> None:
        self._url = f"rtsp://{place[0]}:{place[1]}/a"
        self._control = socket.create_connection(place, timeout=20)
        self._ports = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
        for port in self._ports:
            port.bind(("127.0.0.1", 0))
            port.settimeout(20)

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._control, *self._ports):
            sock.close()

    def ask(self, method: str, *headers: str) -> str:
        lines = (f"{method} {self._url} RTSP/1.0", "CSeq: 1", *headers, "", "")
        self._control.sendall("\r\n".join(lines).encode())
        return self._control.recv(4096).decode()

    def play_over_udp(self) -> str:
        """Plays, and returns the server's port of RTCP."""
        ports = "-".join(str(port.getsockname()[1]) for port in self._ports)
        answer = self.ask("SETUP", f"Transport: RTP/AVP;unicast;client_port={ports}")
        session = answer.split("Session: ")[1].partition(";")[0]
        assert self.ask("PLAY", f"Session: {session}").startswith("RTSP/1.0 200 OK")
        return answer.split("server_port=")[1].partition("\r")[0].partition("-")[2]

    def packet(self, which: int) -> bytes:
        return self._ports[which].recv(2048)

    def report_to(self, port: str) -> None:
        self._ports[1].sendto(b"\x80\xc9\0\1\0\0\0\1", ("127.0.0.1", int(port)))

    def is_open(self) -> bool:
        self._control.settimeout(0.01)
        try:
            return bool(self._control.recv(4096))
        except TimeoutError:
            return True
        except ConnectionError:
            return False

    def wait_until_closed(self) -> None:
        deadline_s = time.monotonic() + 20
        while self.is_open():
            assert time.monotonic() < deadline_s


def until_watched(mount: Mount, is_watched: bool = True) -> None:
    deadline_s = time.monotonic() + 20
    while mount.is_watched != is_watched:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_player_over_udp_gets_packets_then_a_report_and_a_goodbye():
    with hosting() as (host, mount, place), Visitor(place) as visitor:
        visitor.play_over_udp()
        until_watched(mount)
        assert mount.take_key_wish()
        host.call(mount.publish, b"\0\0\0\1\x41x", 0, False, 0)  # not to begin with
        host.call(mount.publish, KEY, 3000, True, 0)
        assert visitor.packet(0)[12] == 0x78
        assert visitor.packet(0)[12:] == KEY[4:]
        assert visitor.packet(1)[1] == 200
        host.call(mount.end)
        assert visitor.packet(1)[1] == 201
        visitor.wait_until_closed()


def test_keyframes_are_not_forced_more_often_than_twice_a_second():
    with hosting() as (_, mount, place), ExitStack() as visitors:
        visitors.enter_context(Visitor(place)).play_over_udp()
        until_watched(mount)
        assert mount.take_key_wish()
        assert not mount.take_key_wish()
        visitors.enter_context(Visitor(place)).play_over_udp()
        assert not mount.take_key_wish()
        time.sleep(0.6)
        assert mount.take_key_wish()


@pytest.mark.long
def test_whoever_gives_no_sign_of_life_is_let_go_and_a_report_is_one(monkeypatch):
    monkeypatch.setattr(rtsp_connection, "IDLE_S", 0.5)
    monkeypatch.setattr(rtsp_connection, "SESSION_S", 1.5)
    with hosting() as (_, mount, place), ExitStack() as visitors:
        idle, silent, alive = (visitors.enter_context(Visitor(place)) for _ in range(3))
        silent.play_over_udp()
        port = alive.play_over_udp()
        idle.wait_until_closed()
        deadline_s = time.monotonic() + 3.0
        while time.monotonic() < deadline_s:
            alive.report_to(port)
            time.sleep(0.1)
        silent.wait_until_closed()
        assert alive.is_open()
        assert mount.is_watched
        alive.wait_until_closed()
        until_watched(mount, False)


def test_who_plays_is_not_sent_away_for_a_newcomer(monkeypatch):
    monkeypatch.setattr(rtsp_host, "CONNECTIONS_MAX", 2)
    with hosting() as (_, _mount, place), ExitStack() as visitors:
        first = visitors.enter_context(Visitor(place))
        first.play_over_udp()
        idle = visitors.enter_context(Visitor(place))
        assert "200 OK" in idle.ask("OPTIONS")
        second = visitors.enter_context(Visitor(place))
        second.play_over_udp()
        idle.wait_until_closed()
        late = visitors.enter_context(Visitor(place))
        assert "503 Service Unavailable" in late.ask("OPTIONS")
        assert first.is_open()


def test_a_thread_that_has_ended_is_no_silent_loss():
    with hosting() as (host, _, _):
        host.check()
        host.stop()
        with pytest.raises(StageError, match="its thread has ended"):
            host.check()
