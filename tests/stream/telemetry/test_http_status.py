"""The pages over HTTP: a real process, asked by raw sockets, politely and otherwise."""

import http.client
import json
import os
import random
import signal
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from maskstream.errors import ConfigError
from maskstream.stream.addresses.http_address import HttpAddress, parse_address, read_token
from maskstream.stream.telemetry.http_server import CONNECTIONS_MAX
from maskstream.stream.telemetry.http_status import StatusServer
from maskstream.stream.telemetry.status import build_status
from tests.helpers.snapshots import make_snapshot

TOKEN = "0123456789abcdef-secret"
ANY = HttpAddress("127.0.0.1", 0)


class Asker:
    """Asks one server."""

    def __init__(self, server: StatusServer) -> None:
        self.server = server

    def __call__(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """The status and the text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.address.port, timeout=20)
        with closing(connection):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def raw(self, content: bytes) -> bytes:
        """What comes back for bytes, until the other side ends or is silent for a second."""
        with self.connect() as connection:
            try:
                connection.sendall(content)
                connection.settimeout(1)
                return connection.recv(1 << 16)
            except (TimeoutError, ConnectionError):
                return b""

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.server.address.port), timeout=20)

    def memory_bytes(self) -> int:
        """Resident memory of the server's process."""
        fields = Path(f"/proc/{self.server.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptor_count(self) -> int:
        """What the server's process has open."""
        return len(list(Path(f"/proc/{self.server.pid}/fd").iterdir()))


def served(token=None):
    """A server that shows figures already."""
    warnings: list[str] = []
    server = StatusServer(ANY, token=token, warn=warnings.append)
    server.publish(build_status(make_snapshot()))
    ask = Asker(server)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    deadline_s = time.monotonic() + 20
    while ask("/status", **headers)[0] == 503 and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return ask, warnings


@pytest.fixture(scope="module")
def open_to_all():
    """A server on the loopback without a token, for all tests that leave it as it is."""
    ask, warnings = served()
    yield ask
    ask.server.close()
    assert warnings == []


@pytest.fixture(scope="module")
def guarded():
    """A server that wants a token."""
    ask, warnings = served(TOKEN)
    yield ask
    ask.server.close()
    assert warnings == []


def test_status_is_the_document_that_is_published(open_to_all):
    code, text = open_to_all("/status")
    document = json.loads(text)
    assert (code, document["version"], document["pid"]) == (200, 1, os.getpid())
    assert document["figures"]["frames"] == {
        "captured": 105, "delivered": 100, "dropped": {"stale": 2}, "in_flight": 3,
    }  # fmt: skip


def test_metrics_are_read_by_prometheus_own_parser(open_to_all):
    code, text = open_to_all("/metrics")
    assert code == 200
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["maskstream_frames_delivered_total",] == 100
    assert samples["maskstream_frames_dropped_total", ("cause", "stale")] == 2


def test_the_newest_figures_are_shown(open_to_all):
    open_to_all.server.publish(build_status(make_snapshot(delivered=123)))
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        if json.loads(open_to_all("/status")[1])["figures"]["frames"]["delivered"] == 123:
            assert "maskstream_frames_delivered_total 123.0" in open_to_all("/metrics")[1]
            break
    else:
        pytest.fail("the newest figures did not come within 10 s")
    open_to_all.server.publish(build_status(make_snapshot()))


def test_health_is_ok_while_figures_come(open_to_all):
    open_to_all.server.publish(build_status(make_snapshot()))
    assert open_to_all("/healthz") == (200, "ok\n")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../../etc/passwd",
        "//etc/passwd", "/status/../../../etc/passwd", "/metrics%00.txt", "/..%5c..%5cetc",
        "http://example.test/etc/passwd", "/status/",
    ],
)  # fmt: skip
def test_there_is_nothing_else_to_read(open_to_all, path):
    code, text = open_to_all(path)
    assert code in (400, 403, 404)
    assert "root:" not in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(open_to_all, method):
    assert open_to_all("/status", method)[0] == 405


@pytest.mark.parametrize("host", ["attacker.test", "127.0.0.1.attacker.test", "", "192.0.2.1:80"])
def test_a_name_that_was_turned_to_this_machine_is_refused(open_to_all, host):
    assert open_to_all("/status", Host=host)[0] in (400, 403)


def test_a_token_opens_every_page_and_nothing_else_does(guarded):
    for path in ("/status", "/metrics", "/healthz"):
        assert guarded(path, Authorization=f"Bearer {TOKEN}")[0] == 200
        for wrong in ("", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer", "Bearer \xff\xfe"):
            code, text = guarded(path, Authorization=wrong)
            assert (code, TOKEN in text) == (401, False)
        assert guarded(path)[0] == 401


def garbage():
    random_bytes = random.Random(1).randbytes
    yield b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"
    yield b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    many = b"".join(b"X-%d: y\r\n" % number for number in range(50_000))
    yield b"GET /status HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random_bytes(500)
    yield b"GET /status HTTP/9.9\r\n\r\n"
    yield b"GET /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n"
    yield b"GET /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nx"
    yield b"POST /status HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    yield b"GET /status HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n\x81\xff\xff"
    yield b"\x00" * 100_000
    for _ in range(20):
        yield random_bytes(4096)


def test_garbage_crashes_nothing_and_keeps_no_memory(open_to_all):
    for content in garbage():
        open_to_all.raw(content)  # what the first round needs is kept by the allocator
    before = open_to_all.memory_bytes()
    for _ in range(3):
        for content in garbage():
            assert b" 500 " not in open_to_all.raw(content)[:20]
    assert open_to_all("/status")[0] == 200
    assert open_to_all.memory_bytes() - before < 20e6


def test_a_body_without_an_end_is_not_kept(open_to_all):
    before = open_to_all.memory_bytes()
    with open_to_all.connect() as connection:
        head = b"GET /status HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head)
        chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        try:
            for _ in range(500):  # 33 MB
                connection.sendall(chunk)
        except (ConnectionError, TimeoutError):
            pass  # the server has ended it, as it may
    assert open_to_all("/status")[0] == 200
    assert open_to_all.memory_bytes() - before < 20e6


def test_two_hundred_idle_connections_keep_nobody_out(open_to_all):
    before = open_to_all.descriptor_count()
    idle = [open_to_all.connect() for _ in range(200)]
    try:
        idle[-1].sendall(b"GET /status HT")  # and one that never says the rest
        for _ in range(5):
            assert open_to_all("/status")[0] == 200
        assert open_to_all.descriptor_count() - before <= CONNECTIONS_MAX + 5
    finally:
        for connection in idle:
            connection.close()


def test_a_server_that_died_costs_the_run_one_warning():
    ask, warnings = served()
    os.kill(ask.server.pid, signal.SIGKILL)
    deadline_s = time.monotonic() + 10
    while not warnings and time.monotonic() < deadline_s:
        ask.server.publish(build_status(make_snapshot()))
    ask.server.publish(build_status(make_snapshot()))
    ask.server.close()
    assert len(warnings) == 1
    assert "the run goes on" in warnings[0]


def test_a_server_that_hangs_costs_the_run_no_wait():
    ask, warnings = served()
    os.kill(ask.server.pid, signal.SIGSTOP)
    status = build_status(make_snapshot())
    slowest_s = 0.0
    for _ in range(2000):
        started_s = time.monotonic()
        ask.server.publish(status)
        slowest_s = max(slowest_s, time.monotonic() - started_s)
    assert slowest_s < 1
    os.kill(ask.server.pid, signal.SIGCONT)
    assert ask("/healthz")[0] == 200
    ask.server.close()
    assert warnings == []


@pytest.mark.usefixtures("nothing_left")
def test_nothing_is_left_of_a_server():
    served()[0].server.close()


def test_a_port_that_is_taken_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = HttpAddress("127.0.0.1", server.getsockname()[1])
        with pytest.raises(ConfigError, match=r"cannot be taken \(Address already in use\)"):
            StatusServer(taken, token=None, warn=print)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_address_that_others_can_reach_needs_a_token(host):
    with pytest.raises(ConfigError, match="set a token: --status-token-file FILE"):
        StatusServer(HttpAddress(host, 0), token=None, warn=print)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9100", HttpAddress("127.0.0.1", 9100)),
        ("localhost:0", HttpAddress("localhost", 0)),
        ("[::1]:80", HttpAddress("::1", 80)),
    ],
)
def test_an_address_is_host_and_port(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "9100", ":9100", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:65536", "host:80", "a b:1"],
)
def test_what_names_no_address_is_refused(text):
    with pytest.raises(ConfigError, match=r"such as 127\.0\.0\.1:9100"):
        parse_address(text)


def test_a_token_is_read_from_a_closed_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    assert read_token(path) == TOKEN


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        (TOKEN, 0o644, "others can read the token"),
        ("short", 0o600, "at least 16 characters"),
        ("two words are no token", 0o600, "one word"),
        ("", 0o600, "one word"),
    ],
)
def test_a_token_that_protects_nothing_is_refused(tmp_path, text, mode, reason):
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=reason) as refused:
        read_token(path)
    assert not text or text not in str(refused.value)


def test_a_token_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_token(tmp_path / "none")
