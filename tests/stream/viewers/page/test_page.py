"""The page's server: a real process with real frames, asked by raw sockets and a real client."""

import asyncio
import io
import json
import os
import signal
import struct
import time

import aiohttp
import av
import numpy as np
import pytest
from PIL import Image

from maskstream.errors import ConfigError
from maskstream.stream.addresses.http_address import HttpAddress
from maskstream.stream.pixels.stamp import read_stamp
from maskstream.stream.processes.control import Done, Ready
from maskstream.stream.telemetry.http_server import CONNECTIONS_MAX
from maskstream.stream.viewers.page.page import open_page, run
from maskstream.stream.viewers.page.streams import STREAMS_MAX
from tests.helpers.views_feed import viewing
from tests.helpers.web_lab import ANY, NAMES, SIZES, TOKEN, page_lab
from tests.stream.telemetry.test_http_status import garbage


@pytest.fixture(scope="module")
def lab():
    """A page on the loopback whose sources move and whose figures change."""
    with page_lab() as lab, lab.viewer.playing(), lab.publishing():
        yield lab


@pytest.fixture(scope="module")
def guarded():
    """A page that wants a token."""
    with page_lab(token=TOKEN) as lab, lab.viewer.playing(), lab.publishing():
        yield lab


def number_in(jpeg):
    """The number of the frame that a JPEG shows."""
    return read_stamp(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))).frame_number


class Stream:
    """Reads MJPEG from a bare connection."""

    def __init__(self, lab, source_id=0):
        self._connection = lab.connect()
        self._file = self._connection.makefile("rb")
        head = f"GET /stream/{source_id} HTTP/1.1\r\nHost: 127.0.0.1:{lab.port}\r\n\r\n"
        self._connection.sendall(head.encode())
        assert self._file.readline().startswith(b"HTTP/1.1 200")
        while self._file.readline() != b"\r\n":
            pass
        self._rest = b""

    def picture(self):
        """The next whole JPEG; the chunks that it comes in may be cut anywhere."""
        while True:
            start, end = self._rest.find(b"\xff\xd8\xff"), self._rest.find(b"\xff\xd9\r\n--")
            if 0 <= start < end:
                found, self._rest = self._rest[start : end + 2], self._rest[end + 2 :]
                return found
            size = int(self._file.readline(), 16)
            assert size, "the stream ended"
            self._rest += self._file.read(size + 2)[:size]

    def close(self):
        self._file.close()
        self._connection.close()


def test_an_mjpeg_stream_shows_one_frame_after_the_other(lab):
    stream = Stream(lab, 1)
    numbers = [number_in(stream.picture()) for _ in range(6)]
    stream.close()
    assert numbers == sorted(set(numbers))


def test_other_programs_read_the_stream_too(lab):
    with av.open(f"{lab.url}stream/1", format="mpjpeg", timeout=20) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(5), strict=False)]
    grey = [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in frames]
    numbers = [read_stamp(picture).frame_number for picture in grey]
    assert numbers == sorted(set(numbers))


def test_nothing_is_encoded_while_nobody_looks(lab):
    lab.wait_for(lambda: _is_still(lab), "stop encoding when all had left")


def _is_still(lab):
    before = lab.viewer.page.given
    time.sleep(0.5)
    return lab.viewer.page.given == before


def test_a_picture_is_encoded_once_however_many_look(lab):
    streams = [Stream(lab) for _ in range(8)]
    for stream in streams:
        stream.picture()
    drawn, given = lab.viewer.feeds[0].next_number, lab.viewer.page.given
    for _ in range(15):
        for stream in streams:
            stream.picture()
    pictures = lab.viewer.page.given - given
    frames = lab.viewer.feeds[0].next_number - drawn
    for stream in streams:
        stream.close()
    assert 10 <= pictures <= frames + 1


def live(lab, scenario, **headers):
    """Runs ``scenario(socket)`` with a live socket."""

    async def connect():
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.ws_connect(f"{lab.url}live") as sock,
        ):
            return await asyncio.wait_for(scenario(sock), 40)

    return asyncio.run(connect())


def test_the_live_socket_brings_names_and_figures(lab):
    async def scenario(sock):
        return [await sock.receive_json() for _ in range(3)]

    welcome, *figures = live(lab, scenario)
    assert welcome["kind"] == "welcome"
    assert welcome["sources"] == [{"id": key, "name": name} for key, name in NAMES.items()]
    assert [message["kind"] for message in figures] == ["figures", "figures"]
    assert figures[1]["frames"]["delivered"] >= figures[0]["frames"]["delivered"]
    assert [source["state"] for source in figures[1]["sources"]] == ["running", "running"]


def test_who_opens_the_page_later_sees_the_last_minutes(lab):
    async def scenario(sock):
        return await sock.receive_json()

    lab.wait_for(lambda: len(live(lab, scenario)["history"]) > 2, "remember some points")
    times = [point["t"] for point in live(lab, scenario)["history"]]
    assert times == sorted(set(times))


async def picture_of(sock, source_id):
    """Asks for a picture of a source and returns it."""
    await sock.send_json({"next": source_id})
    while (message := await sock.receive()).type != aiohttp.WSMsgType.BINARY:
        assert message.type == aiohttp.WSMsgType.TEXT
    assert struct.unpack_from("<I", message.data) == (source_id,)
    return message.data[4:]


def test_a_picture_comes_when_it_is_asked_for_and_is_a_new_one(lab):
    async def scenario(sock):
        numbers = []
        for pause_s in (0, 0, 0, 0.5, 0):
            await asyncio.sleep(pause_s)
            numbers.append(number_in(await picture_of(sock, 0)))
        return numbers

    numbers = live(lab, scenario)
    assert numbers == sorted(set(numbers))
    # Half a second of 25 frames each was passed over, not queued.
    assert numbers[3] - numbers[2] >= 5


def test_asking_twice_brings_one_picture(lab):
    async def scenario(sock):
        for _ in range(10):
            await sock.send_json({"next": 0})
        binary = 0
        try:
            async with asyncio.timeout(1.5):
                async for message in sock:
                    binary += message.type == aiohttp.WSMsgType.BINARY
        except TimeoutError:
            return binary

    # One, and one more where the first was sent before the last request was read.
    assert live(lab, scenario) in (1, 2)


def test_colours_on_the_page_are_those_of_the_frame():
    def paint_red(planes):
        # BT.709, limited range: red is (63, 102, 240).
        for plane, level in zip(planes, (63, 102, 240), strict=True):
            plane[...] = level

    async def scenario(sock):
        return await picture_of(sock, 0)

    with page_lab() as lab:
        lab.viewer.show(0, paint=paint_red, color_range=0, color_matrix=1)
        jpeg = live(lab, scenario)
    pixel = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))[120, 160]
    assert np.abs(pixel.astype(int) - (255, 0, 0)).max() <= 4


def test_a_lost_sources_last_picture_is_still_shown():
    async def scenario(sock):
        return number_in(await picture_of(sock, 0))

    with page_lab() as lab:
        for _ in range(3):
            last = lab.viewer.show(0)
        assert live(lab, scenario) == last
        assert live(lab, scenario) == last


def test_a_viewer_that_never_reads_costs_nothing_and_is_put_out(lab):
    stream = Stream(lab, 0)
    stream.picture()
    baseline, memory = lab.descriptor_count(), lab.memory_bytes()
    stalled = []
    for path in ("/stream/0", "/stream/1", "/live"):
        for _ in range(3):
            connection = lab.connect()
            upgrade = (
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            )
            head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
            head += (upgrade if path == "/live" else "") + "\r\n"
            connection.sendall(head.encode())
            stalled.append(connection)
    numbers = [number_in(stream.picture()) for _ in range(50)]
    assert numbers == sorted(set(numbers))
    assert lab.memory_bytes() - memory < 30e6
    streams = [*stalled[:6]]
    lab.wait_for(lambda: lab.descriptor_count() <= baseline + 3, "put the stalled streams out")
    assert number_in(stream.picture()) > numbers[-1]
    stream.close()
    for connection in (*streams, *stalled[6:]):
        connection.close()


def test_so_many_may_look_and_others_are_told(lab):
    streams = []
    try:
        for _ in range(STREAMS_MAX):
            streams.append(Stream(lab))
            streams[-1].picture()
        code, text, _ = lab.ask("/stream/0")
        assert (code, text) == (503, "too many look already\n")
        assert lab.ask("/")[0] == 200
    finally:
        for stream in streams:
            stream.close()


def test_two_hundred_idle_connections_put_no_viewer_out(lab):
    stream = Stream(lab)
    stream.picture()
    before = lab.descriptor_count()
    idle = [lab.connect() for _ in range(200)]
    try:
        for _ in range(5):
            assert lab.ask("/")[0] == 200
            stream.picture()
        assert lab.descriptor_count() - before <= CONNECTIONS_MAX + 5
    finally:
        stream.close()
        for connection in idle:
            connection.close()


def test_the_page_and_its_files_are_served_with_headers_that_protect_them(lab):
    code, text, headers = lab.ask("/")
    assert (code, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    for path, kind in (("/page.css", "text/css"), ("/page.js", "text/javascript")):
        assert path in text
        code, _, headers = lab.ask(path)
        assert (code, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
    for path in ("/status", "/metrics", "/healthz"):
        assert lab.ask(path)[0] == 200
    assert lab.ask("/nothing")[2]["X-Content-Type-Options"] == "nosniff"


def test_nothing_is_loaded_from_elsewhere(repository_dir):
    for path in (repository_dir / "stream" / "network" / "web").iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text.replace('"https:"', ""), path.name


@pytest.mark.parametrize(
    "path",
    [
        "/../page.html", "/page.html", "/login.html", "/%2e%2e/%2e%2e/etc/passwd", "/stream/7",
        "/stream/../../x", "/stream/-1", "/stream/0/../../etc/passwd", "/stream/999999999999",
        "/stream/%30%00", "/web/page.js", "/..%5cpage.js", "//etc/passwd", "/static/page.js",
    ],
)  # fmt: skip
def test_no_path_reads_anything_else(lab, path):
    code, text, _ = lab.ask(path)
    assert code in (400, 403, 404)
    assert "root:" not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.test"},
        {"Origin": "http://attacker.test"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_pages_of_others_may_not_ask(lab, headers):
    for path in ("/stream/0", "/live", "/status", "/"):
        assert lab.ask(path, **headers)[0] == 403


def test_a_link_from_another_site_leads_to_the_page(lab):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert lab.ask("/", **headers)[0] == 200


def upgraded(lab):
    """A bare connection that speaks WebSocket."""
    connection = lab.connect()
    connection.sendall(
        f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{lab.port}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert connection.recv(1 << 16).startswith(b"HTTP/1.1 101")
    return connection


def framed(content, opcode=1):
    """A client's frame, masked with zeros."""
    length = len(content)
    head = bytes([0x80 | opcode]) + (
        bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length)
    )
    return head + b"\0\0\0\0" + content


MALFORMED = [
    b"\xff" * 64,
    b"\x81\x05hello",  # not masked
    b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0",  # 2^64 - 1 bytes
    b"\x83\x80\0\0\0\0",  # a reserved opcode
    b"\x89\xfe\x10\x00\0\0\0\0" + b"x" * 4096,  # a ping of 4096 bytes
    framed(b"\xff\xfe\xfd"),  # no UTF-8
    framed(b"x" * 5000),
    framed(b"not json"),
    framed(b"{}"),
    framed(b"[" * 200),
    framed(b'{"next": 99}'),
    framed(b'{"next": true}'),
    framed(b'{"next": "0"}'),
    framed(b'{"next": -1}'),
    framed(b'{"next": 1e400}'),
    framed(b"\0\1\2\3", opcode=2),
]


@pytest.mark.parametrize("content", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_message_ends_its_own_socket_alone(lab, content):
    pid, memory = lab.viewer.pid, lab.memory_bytes()
    with upgraded(lab) as connection:
        connection.sendall(content)
        connection.settimeout(20)
        try:
            while connection.recv(1 << 16):
                pass
        except ConnectionError:
            pass
    assert lab.ask("/healthz")[0] == 200
    assert (lab.viewer.pid, lab.viewer.process.is_alive()) == (pid, True)
    assert lab.memory_bytes() - memory < 20e6


def test_an_endless_message_is_not_kept(lab):
    memory = lab.memory_bytes()
    with upgraded(lab) as connection:
        try:
            connection.sendall(b"\x01\xfe\x00\x80\0\0\0\0" + b"a" * 128)
            for _ in range(20_000):
                connection.sendall(b"\x00\xfe\x00\x80\0\0\0\0" + b"a" * 128)
        except ConnectionError:
            pass  # as it should be
    assert lab.ask("/healthz")[0] == 200
    assert lab.memory_bytes() - memory < 20e6


def test_garbage_crashes_nothing_and_keeps_no_memory(lab):
    def throw(content):
        with lab.connect() as connection:
            try:
                connection.sendall(content)
                connection.settimeout(1)
                return connection.recv(1 << 16)
            except (TimeoutError, ConnectionError):
                return b""

    for content in garbage():
        throw(content)  # what the first round needs is kept by the allocator
    before = lab.memory_bytes()
    for content in garbage():
        assert b" 500 " not in throw(content)[:20]
    assert lab.ask("/")[0] == 200
    assert lab.memory_bytes() - before < 20e6


@pytest.mark.parametrize("host", ["localhost:99999999", "[::1", "a b", "%00", "localhost:x", ""])
def test_a_host_that_is_none_is_no_fault_of_ours(lab, guarded, host):
    for page in (lab, guarded):
        for path in ("/", "/status"):
            assert page.ask(path, Host=host)[0] in (200, 400, 401, 403)


def test_a_page_with_a_token_is_closed_to_others(guarded):
    for path in ("/stream/0", "/live", "/status", "/page.js"):
        for headers in ({}, {"Authorization": "Bearer x"}, {"Cookie": f"maskstream_1={TOKEN}"}):
            code, text, _ = guarded.ask(path, **headers)
            assert (code, TOKEN in text) == (401, False)
    assert guarded.ask("/status", Authorization=f"Bearer {TOKEN}")[0] == 200
    code, text, _ = guarded.ask("/")
    assert (code, "Token of this run" in text) == (401, True)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_the_token_is_traded_for_a_cookie_that_does_not_hold_it(guarded):
    code, _, headers = guarded.ask("/login", "POST", f"token={TOKEN}", **FORM)
    cookie = headers["Set-Cookie"]
    assert (code, headers["Location"]) == (303, "/")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    pair = cookie.partition(";")[0]
    assert pair.startswith(f"maskstream_{guarded.port}=")
    code, text, _ = guarded.ask("/", Cookie=pair)
    assert (code, "/page.js" in text) == (200, True)

    async def scenario(sock):
        return await sock.receive_json(), number_in(await picture_of(sock, 0))

    assert live(guarded, scenario, Cookie=pair)[0]["has_token"] is True


@pytest.mark.parametrize("body", ["", "token=", "token=wrong", "x" * 5000, "token=%ff%fe"])
def test_a_wrong_token_is_asked_for_again(guarded, body):
    code, text, headers = guarded.ask("/login", "POST", body, **FORM)
    assert code in (400, 401, 413)
    assert "Set-Cookie" not in headers
    assert TOKEN not in text


def test_a_login_from_another_site_is_refused(guarded):
    headers = {**FORM, "Origin": "http://attacker.test"}
    assert guarded.ask("/login", "POST", f"token={TOKEN}", **headers)[0] == 403


def test_the_settings_do_not_show_the_token():
    host = open_page(ANY, token=TOKEN, names=NAMES)
    assert TOKEN not in repr(host.settings())
    host.close()


@pytest.mark.usefixtures("nothing_left")
def test_a_page_that_died_is_started_anew_at_the_same_address():
    async def scenario(sock):
        return number_in(await picture_of(sock, 0))

    host = open_page(ANY, token=None, names=NAMES)
    for _ in range(2):
        with page_lab(host=host) as lab:
            lab.publish()
            assert live(lab, scenario_with(lab, scenario)) == 0
            assert lab.ask("/healthz")[0] == 200
            os.kill(lab.viewer.pid, signal.SIGKILL)
            lab.viewer.process.join(20)
            lab.publish()  # goes nowhere, and waits for nothing
    host.close()


def scenario_with(lab, scenario):
    """Shows a frame before ``scenario`` begins."""

    async def both(sock):
        lab.viewer.show(0)
        return await scenario(sock)

    return both


def test_a_page_that_hangs_costs_the_run_no_wait():
    with page_lab() as lab:
        lab.viewer.signal(signal.SIGSTOP)
        slowest_s = 0.0
        for _ in range(500):
            started_s = time.monotonic()
            lab.publish()
            lab.viewer.feeds[0].show()
            slowest_s = max(slowest_s, time.monotonic() - started_s)
        lab.viewer.signal(signal.SIGCONT)
        assert slowest_s < 5
        assert lab.ask("/healthz")[0] == 200


@pytest.mark.usefixtures("nothing_left")
def test_the_page_ends_with_its_sources_and_says_so():
    with page_lab() as ended, ended.publishing():

        async def scenario(sock):
            ended.viewer.end()
            async for message in sock:
                assert message.type == aiohttp.WSMsgType.TEXT
            return sock.close_code

        idle, stream = ended.connect(), Stream(ended)
        assert live(ended, scenario) == aiohttp.WSCloseCode.GOING_AWAY
        words = ended.viewer.words()
        stream.close()
        idle.close()
    assert [type(word) for word in words] == [Ready, Done]


def test_who_is_gone_from_a_source_that_shows_nothing_is_noticed():
    with page_lab() as lab:
        before = lab.descriptor_count()
        for _ in range(5):
            connection = lab.connect()
            connection.sendall(b"GET /stream/0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            connection.close()
        lab.wait_for(lambda: lab.descriptor_count() <= before, "notice that they left")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_address_that_others_can_reach_needs_a_token(host):
    with pytest.raises(ConfigError, match="--web-token-file FILE"):
        open_page(HttpAddress(host, 0), token=None, names=NAMES)


def test_a_port_that_is_taken_is_refused():
    first = open_page(ANY, token=None, names=NAMES)
    with pytest.raises(ConfigError, match=r"--web: 127\.0\.0\.1:\d+ cannot be taken"):
        open_page(first.address, token=None, names=NAMES)
    first.close()


def test_the_body_runs_with_less_right_to_the_cores():
    host = open_page(ANY, token=None, names=NAMES)
    with viewing(run, host.settings(), SIZES) as viewer:
        viewer.wait_until_ready()
        assert os.getpriority(os.PRIO_PROCESS, viewer.pid) >= 10
    host.close()


def test_figures_are_json_that_a_browser_reads(lab):
    async def scenario(sock):
        await sock.receive()
        return (await sock.receive()).data

    assert json.loads(live(lab, scenario), parse_constant=pytest.fail)["kind"] == "figures"
