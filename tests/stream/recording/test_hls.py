"""Live folders: served by a plain web server and played by PyAV while they grow."""

import contextlib
import functools
import http.server
import itertools
import os
import re
import shutil
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from maskstream.errors import ConfigError, OutputError
from maskstream.stream.errors import StageError
from maskstream.stream.recording.hls import HlsWriter, check_hls
from tests.helpers.clips import gradient
from tests.helpers.killed import record_and_kill
from tests.helpers.writers import pictures, small_settings, write_noise, write_timed

SEGMENT = re.compile(r"index-\d+\.ts")


def writer_for(path: Path, *, is_continued: bool = False, **changes: Any) -> HlsWriter:
    return HlsWriter(path, small_settings(**{"crf": 0, **changes}), is_continued=is_continued)


def listed(playlist: Path) -> list[str]:
    """The segments that viewers are told of."""
    return [line for line in playlist.read_text().splitlines() if SEGMENT.fullmatch(line)]


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".ts")


@contextlib.contextmanager
def feeding(writer: HlsWriter, frames_per_s: float):
    """Writes frames meanwhile; begins with 3 segments."""
    is_enough, has_begun = threading.Event(), threading.Event()

    def feed() -> None:
        due_s = 0.0
        for number in itertools.count():
            write_timed(writer, [number])
            # By the clock, so that a busy machine makes up for what it was late.
            due_s = due_s + 1 / frames_per_s if has_begun.is_set() else time.monotonic()
            if is_enough.wait(max(0.0, due_s - time.monotonic())):
                break
        writer.close()

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        while not (writer.path.exists() and len(listed(writer.path)) >= 3):
            time.sleep(0.002)
        has_begun.set()
        yield
    finally:
        is_enough.set()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def served(tmp_path):
    """The address that ``tmp_path`` is served at."""
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_finished_folder_plays_from_any_web_server(tmp_path, served):
    writer = writer_for(tmp_path / "live" / "index.m3u8", preset="veryfast")
    write_timed(writer, range(250))
    assert writer.close() == tmp_path / "live" / "index.m3u8"
    found = pictures(f"{served}/live/index.m3u8")
    assert len(found) == 250
    for number, picture in enumerate(found):
        assert np.array_equal(picture, gradient(number % 70, 64, 48))
    assert (tmp_path / "live" / "index.m3u8").read_text().endswith("\n#EXT-X-ENDLIST\n")


@pytest.mark.long
def test_a_folder_plays_while_it_grows(tmp_path, served):
    writer = writer_for(tmp_path / "index.m3u8")
    with feeding(writer, 50), av.open(f"{served}/index.m3u8") as container:
        # Much more than the playlist lists at a time.
        times = [frame.time for frame in itertools.islice(container.decode(video=0), 600)]
    assert len(times) == 600
    assert float(times[-1] or 0) - float(times[0] or 0) == pytest.approx(599 / 25)


def plays(page, url: str) -> bool:
    """Returns whether a page's video gets beyond what was listed when it began."""
    from playwright.sync_api import TimeoutError as PageTimeoutError

    page.goto(url)
    try:
        page.wait_for_function("v.currentTime > 15", timeout=45_000)
    except PageTimeoutError:
        return False
    return True


@pytest.mark.system
def test_a_browser_plays_a_folder_that_grows_without_any_script(tmp_path, served):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None and os.environ.get("CI") != "true":
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    page_code = "<video id=v muted autoplay src=index.m3u8></video>"
    (tmp_path / "page.html").write_text(page_code)
    # As a camera would: a player that begins late must not find its segments gone.
    writer = writer_for(tmp_path / "index.m3u8", crf=20)
    with feeding(writer, 25), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            page = browser.new_page()
            # A machine that is so busy that the player falls behind the list stops it for good.
            assert any(plays(page, f"{served}/page.html") for _ in range(3))
            assert page.evaluate("[v.videoWidth, v.videoHeight, v.error]") == [64, 48, None]
        finally:
            browser.close()


def test_old_segments_leave_the_list_and_then_the_folder(tmp_path):
    playlist = tmp_path / "index.m3u8"
    (tmp_path / "index-mine.ts").write_bytes(b"mine")
    (tmp_path / "other-1.ts").write_bytes(b"mine")
    writer = writer_for(playlist)
    write_timed(writer, range(50 * 30 + 1))
    assert len(listed(playlist)) == 6
    kept = [name for name in segments(tmp_path) if SEGMENT.fullmatch(name)]
    assert len(kept) <= 6 + 3 + 2
    assert set(listed(playlist)) <= set(kept)
    writer.close()
    assert {"index-mine.ts", "other-1.ts"} <= set(segments(tmp_path))
    text = playlist.read_text()
    assert text.startswith("#EXTM3U\n")
    assert "#EXT-X-INDEPENDENT-SEGMENTS" in text
    assert [float(line[8:-1]) for line in text.splitlines() if line.startswith("#EXTINF")][:5] == (
        [2.0] * 5
    )


def test_the_playlist_is_never_seen_half_written(tmp_path):
    playlist = tmp_path / "index.m3u8"
    writer = writer_for(playlist)
    seen: list[str] = []
    is_done = threading.Event()

    def look() -> None:
        while not is_done.is_set():
            if playlist.exists():
                seen.append(playlist.read_text())

    looking = threading.Thread(target=look)
    looking.start()
    write_timed(writer, range(1500))
    writer.close()
    is_done.set()
    looking.join()
    assert len(seen) > 20
    assert all(text.startswith("#EXTM3U") and text.endswith((".ts\n", "LIST\n")) for text in seen)


def test_a_slow_camera_s_segments_are_no_longer(tmp_path):
    writer = writer_for(tmp_path / "index.m3u8", time_base=Fraction(1, 5), frame_rate=25.0)
    write_timed(writer, range(60))
    writer.close()
    text = (tmp_path / "index.m3u8").read_text()
    assert re.findall(r"#EXTINF:([\d.]+)", text) == ["2.000000"] * 6


def test_a_gap_in_the_source_is_no_endless_segment(tmp_path):
    writer = writer_for(tmp_path / "index.m3u8")
    write_timed(writer, [*range(60), *range(90_000, 90_060), *range(90_070, 90_100)])
    writer.close()
    durations = re.findall(r"#EXTINF:([\d.]+)", (tmp_path / "index.m3u8").read_text())
    # 150 frames and the short gap of 10; nothing of the hour.
    assert sum(map(float, durations)) == pytest.approx(160 / 25)
    assert len(pictures(str(tmp_path / "index.m3u8"))) == 150


def test_a_killed_writer_s_viewers_are_kept_by_the_next_one(tmp_path, served):
    playlist = tmp_path / "index.m3u8"
    record_and_kill(playlist, frames=220)
    before = listed(playlist)
    text = playlist.read_text()
    assert len(before) >= 4
    assert "ENDLIST" not in text
    orphan = tmp_path / "index-17.ts"
    orphan.write_bytes(b"left by a killed writer")
    time.sleep(1.1)  # a new run's numbers would come from the second of its start
    writer = writer_for(playlist, is_continued=True)
    assert listed(playlist) == before
    assert not orphan.exists()
    write_timed(writer, range(5000, 5060))
    writer.close()
    after = listed(playlist)
    number = [int(name[6:-3]) for name in after]
    assert number == list(range(number[0], number[0] + len(after)))
    assert before[-1] in after
    lines = playlist.read_text().splitlines()
    assert f"#EXT-X-MEDIA-SEQUENCE:{number[0]}" in lines
    assert lines.index("#EXT-X-DISCONTINUITY") > lines.index(before[-1])
    assert len(pictures(f"{served}/index.m3u8")) >= 60 + 50
    assert set(segments(tmp_path)) >= set(after)


def test_a_new_run_begins_anew(tmp_path):
    playlist = tmp_path / "index.m3u8"
    first = writer_for(playlist)
    write_timed(first, range(120))
    first.close()
    old = segments(tmp_path)
    time.sleep(1.1)  # names come from the second of the start
    second = writer_for(playlist)
    assert sorted(path.name for path in tmp_path.iterdir()) == []
    write_timed(second, range(120))
    second.close()
    assert segments(tmp_path) == listed(playlist)
    assert old[0] not in segments(tmp_path)


def test_giving_up_leaves_the_playlist_open_for_the_next_writer(tmp_path):
    playlist = tmp_path / "index.m3u8"
    writer = writer_for(playlist)
    write_timed(writer, range(120))
    assert writer.abort() == playlist
    assert "ENDLIST" not in playlist.read_text()
    with pytest.raises(StageError, match="already closed"):
        write_timed(writer, [130])
    writer_for(playlist, is_continued=True).close()
    assert listed(playlist)


def test_nothing_recorded_is_no_playlist(tmp_path):
    writer_for(tmp_path / "live" / "index.m3u8").close()
    assert list((tmp_path / "live").iterdir()) == []


def test_a_disk_that_fills_up_is_one_error(small_disk, capfd):
    writer = writer_for(small_disk / "index.m3u8", width=320, height=240)
    with pytest.raises(OutputError, match=r"index\.m3u8: the disk is full; free some space or"):
        write_noise(writer, (320, 240))
    writer.abort()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["live a,b:c", "ünï cödé", "live'\"", "a;b&c"])
def test_odd_folders_are_written_as_they_are(tmp_path, name):
    writer = writer_for(tmp_path / name / "index.m3u8")
    write_timed(writer, range(600))
    writer.close()
    assert len(pictures(str(tmp_path / name / "index.m3u8"))) == 300
    assert len(segments(tmp_path / name)) <= 9


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("live/index.mp4", ConfigError, r"index\.mp4: no playlist; give a name such as live/index"),
        ("50%d/index.m3u8", ConfigError, r"FFmpeg takes a % for its own; give a path without one"),
        ("a/b/index.m3u8", OutputError, r"/a cannot be written; choose another folder"),
        ("file/index.m3u8", OutputError, r"/file cannot be written"),
        ("folder.m3u8", OutputError, r"a folder; give the playlist's name in it"),
    ],
)
def test_an_impossible_place_is_refused_before_the_start(tmp_path, name, error, message):
    (tmp_path / "file").touch()
    (tmp_path / "folder.m3u8").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        check_hls(tmp_path / name)
    with pytest.raises(error, match=message):
        writer_for(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
