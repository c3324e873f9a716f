"""Downloading a large file from a real server: whole, in parts, and when it goes wrong."""

import random
import socket

import pytest

from maskstream.tools.arguments import download as module
from maskstream.tools.arguments.download import DownloadError, download
from tests.helpers.range_server import serve

CONTENT = random.Random(0).randbytes(100_000)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    monkeypatch.setattr(module, "CHUNK_BYTES", 1000)


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "net.pth").write_bytes(CONTENT)
    with serve(folder) as behaviour:
        yield behaviour


@pytest.fixture
def target(tmp_path):
    (tmp_path / "here").mkdir()
    return tmp_path / "here" / "net.pth"


def test_a_file_comes_whole_and_nothing_else_stays(server, target, capsys):
    download(f"{server.url}/net.pth", target)
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["net.pth"]
    assert capsys.readouterr().err.splitlines()[-1] == "net.pth: 0 of 0 MB"


def test_broken_connections_are_made_anew_and_gone_on_with(server, target):
    server.cut_after_bytes = [30_000, 50_000]
    download(f"{server.url}/net.pth", target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=30000-", "bytes=80000-"]


def test_a_later_call_goes_on_where_an_earlier_gave_up(server, target):
    server.cut_after_bytes = [30_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="with 30000 bytes here; the same command goes on"):
        download(f"{server.url}/net.pth", target)
    assert not target.exists()
    server.ranges.clear()
    download(f"{server.url}/net.pth", target)
    assert server.ranges == ["bytes=30000-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("change", ["version", "ranges", "etag", "weak"])
def test_it_begins_anew_where_going_on_is_not_safe(server, target, change):
    server.cut_after_bytes = [30_000, 0, 0, 0]
    server.etag = {"etag": "", "weak": 'W/"one"'}.get(change, server.etag)
    with pytest.raises(DownloadError):
        download(f"{server.url}/net.pth", target)
    if change == "version":
        server.etag = '"two"'
        (server.folder / "net.pth").write_bytes(CONTENT[::-1])
    server.has_ranges = change != "ranges"
    download(f"{server.url}/net.pth", target)
    assert target.read_bytes() == (server.folder / "net.pth").read_bytes()


def test_a_part_longer_than_the_file_is_thrown_away(server, target):
    target.with_name("net.pth.part").write_bytes(CONTENT * 2)
    target.with_name("net.pth.etag").write_text('"one"')
    download(f"{server.url}/net.pth", target)
    assert target.read_bytes() == CONTENT


def test_a_refusal_is_told_and_not_tried_again(server, target):
    with pytest.raises(DownloadError, match="the server answered 404"):
        download(f"{server.url}/other.pth", target)
    assert server.ranges == [None]


def test_without_a_connection_it_says_so_in_one_line(target):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(DownloadError) as caught:
            download(f"http://127.0.0.1:{port}/net.pth", target)
    text = str(caught.value)
    assert text.startswith(f"127.0.0.1:{port}: not reached (")
    assert "\n" not in text


def test_a_name_that_no_server_has_is_told(target):
    with pytest.raises(DownloadError, match=r"absent\.invalid: not reached"):
        download("http://absent.invalid/net.pth", target)


@pytest.mark.parametrize("url", ["mirror/a.pth", "file:///etc/hostname", "https:///a.pth"])
def test_what_is_no_web_address_is_refused(target, url):
    with pytest.raises(DownloadError, match="is no address; one that begins with https://"):
        download(url, target)
    assert not target.exists()


def test_a_silent_server_is_given_up(target, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DownloadError, match="broken off"):
            download(f"http://127.0.0.1:{port}/net.pth", target)


def test_a_file_without_end_is_cut(server, target, monkeypatch):
    monkeypatch.setattr(module, "SIZE_MAX_BYTES", 50_000)
    with pytest.raises(DownloadError, match="more than 50000 bytes"):
        download(f"{server.url}/net.pth", target)
