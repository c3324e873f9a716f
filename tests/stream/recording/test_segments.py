"""Recordings in chunks, read back by PyAV alone: cuts, names, rotation, kills, full disks."""

import os
import re
import subprocess
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from maskstream.engines.files.disk import partial_path
from maskstream.errors import ConfigError, OutputError
from maskstream.stream.errors import StageError
from maskstream.stream.options import SegmentOptions
from maskstream.stream.recording.segments import SegmentedWriter
from tests.helpers.clips import frame_times, gradient, make_clip, planes_from
from tests.helpers.decoded import sound_times
from tests.helpers.killed import end_recorder, record_and_kill, start_recorder, wait_for_frames
from tests.helpers.writers import pictures, small_settings, write_noise, write_timed

CHUNK_NAME = re.compile(r"cam-\d{8}T\d{6}Z\.(mp4|mkv)")
OLD = "cam-20200101T000000Z.mp4"
OLDER = "cam-20191231T235950Z.mp4"
THEIRS = (
    "cam.mp4",
    "cam-holiday.mp4",
    "cam-20200101T000000Z.mp4.bak",
    "cam-20200101T000000Z.mkv",
    "cam-20200101T000000Z-2.mp4",
    "cam-20201301T000000Z.mp4",  # no such month
    "cam2-20200101T000000Z.mp4",
    "Xcam-20200101T000000Z.mp4",
    "cam-2020010lT000000Z.mp4",
    "cam-20200101T00000\N{ARABIC-INDIC DIGIT TWO}Z.mp4",
)


def writer_for(
    path: Path, *, length_s: float = 2, audio_from: str | None = None, **changes: Any
) -> SegmentedWriter:
    kept = {name: changes.pop(name) for name in ("keep_s", "keep_bytes") if name in changes}
    settings = small_settings(**{"crf": 0, **changes})
    options = SegmentOptions(length_s=length_s, **kept)
    return SegmentedWriter(path, options, settings, audio_from=audio_from)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def boxes(path: Path) -> list[str]:
    """The parts of an mp4; one that still grows has fragments."""
    data, found, start = path.read_bytes(), [], 0
    while start < len(data):
        found.append(data[start + 4 : start + 8].decode())
        start += int.from_bytes(data[start : start + 4])
    return found


@pytest.mark.parametrize("preset", ["ultrafast", "veryfast"])  # without and with reordering
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_every_frame_is_in_one_chunk_and_every_chunk_begins_at_0(tmp_path, suffix, preset):
    writer = writer_for(tmp_path / f"cam{suffix}", preset=preset)
    write_timed(writer, range(1000, 1130))
    chunks = writer.close()
    assert [path.name for path in chunks] == names(tmp_path)
    assert all(CHUNK_NAME.fullmatch(path.name) for path in chunks)
    assert [len(frame_times(path)) for path in chunks] == [50, 50, 30]
    for path in chunks:
        times = frame_times(path)
        tolerance = 0 if suffix == ".mp4" else Fraction(1, 2000)
        assert all(abs(t - Fraction(n, 25)) <= tolerance for n, t in enumerate(times))
    found = [picture for path in chunks for picture in pictures(path)]
    for number, picture in enumerate(found):
        assert np.array_equal(picture, gradient((1000 + number) % 70, 64, 48))


def test_a_chunk_is_a_plain_file_of_its_own_length(tmp_path):
    writer = writer_for(tmp_path / "cam.mp4")
    write_timed(writer, range(100))
    for path in writer.close():
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.start_time, container.duration) == (0, 2_000_000)
            assert next(iter(container.demux(stream))).is_keyframe
        assert boxes(path) == ["ftyp", "free", "mdat", "moov"]


def test_a_gap_in_the_source_ends_a_chunk_and_lengthens_none(tmp_path):
    writer = writer_for(tmp_path / "cam.mp4")
    write_timed(writer, [*range(30), *range(3600 * 25, 3600 * 25 + 10)])
    first, second = writer.close()
    for path, expected_s in ((first, 1.2), (second, 0.4)):
        with av.open(str(path)) as container:
            assert container.duration == pytest.approx(expected_s * 1e6)


def test_the_current_chunk_has_a_partial_name_and_plays_while_it_grows(tmp_path):
    writer = writer_for(tmp_path / "cam.mp4", length_s=60)
    write_timed(writer, range(300))
    (partial,) = tmp_path.iterdir()
    assert re.fullmatch(r"cam-\d{8}T\d{6}Z\.partial\.mp4", partial.name)
    before = len(frame_times(partial))
    write_timed(writer, range(300, 600))
    assert 100 < before < len(frame_times(partial))
    writer.close()
    assert len(frame_times(next(tmp_path.iterdir()))) == 600


def test_a_name_that_is_taken_is_left_and_names_stay_in_order(tmp_path):
    now_s = int(time.time())
    taken = [f"cam-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now_s + n))}.mp4" for n in range(5)]
    for name in taken:
        (tmp_path / name).write_text("mine")
    writer = writer_for(tmp_path / "cam.mp4")
    write_timed(writer, range(150))
    chunks = writer.close()
    assert all((tmp_path / name).read_text() == "mine" for name in taken)
    made = [path for path in chunks if path.name not in taken]
    assert [path.name for path in made] == sorted(path.name for path in made)
    assert len(made) == 3
    assert [pictures(path)[0][0] for path in made] == [gradient(n, 64, 48)[0] for n in (0, 50, 30)]


def test_only_chunks_of_the_series_are_deleted_by_size(tmp_path):
    for name in (*THEIRS, OLD, OLDER):
        (tmp_path / name).write_bytes(b"x" * 1_000_000)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept.mp4").write_bytes(b"x")
    (tmp_path / "cam-20200101T000001Z.mp4").symlink_to("elsewhere/kept.mp4")
    (tmp_path / "cam-20200101T000002Z.mp4").mkdir()
    writer = writer_for(tmp_path / "cam.mp4", keep_bytes=1_500_000)
    assert OLDER not in names(tmp_path)  # at the start
    assert OLD in names(tmp_path)
    write_timed(writer, range(60))
    writer.close()
    assert set(THEIRS) <= set(names(tmp_path))
    assert OLD in names(tmp_path)
    assert (tmp_path / "cam-20200101T000001Z.mp4").is_symlink()
    assert (tmp_path / "elsewhere" / "kept.mp4").exists()
    assert (tmp_path / "cam-20200101T000002Z.mp4").is_dir()


def test_the_oldest_chunks_go_first_and_the_last_one_never(tmp_path):
    writer = writer_for(tmp_path / "cam.mp4", keep_bytes=1)
    write_timed(writer, range(160))
    (partial,) = [path for path in tmp_path.iterdir() if ".partial" in path.name]
    finished = [path for path in tmp_path.iterdir() if path != partial]
    assert len(finished) == 1
    assert finished[0].name < partial.name
    (last,) = writer.close()
    assert len(frame_times(last)) == 10


def test_chunks_that_ended_long_ago_are_deleted(tmp_path):
    now_s = time.time()
    for name, age_s in ((OLDER, 90_000), (OLD, 80_000), ("cam.mp4", 90_000)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (now_s - age_s, now_s - age_s))
    writer = writer_for(tmp_path / "cam.mp4", keep_s=86_400)
    assert names(tmp_path) == [OLD, "cam.mp4"]
    os.utime(tmp_path / OLD, (now_s - 90_000, now_s - 90_000))
    write_timed(writer, range(60))  # a cut looks again
    assert OLD not in names(tmp_path)
    assert len(writer.close()) == 2


@pytest.fixture
def undeletable(tmp_path):
    """Makes a chunk that nobody can delete, as something is mounted over it."""
    chunk = tmp_path / OLD
    chunk.write_bytes(b"x" * 1000)
    mount = ["mount", "--bind", str(chunk), str(chunk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file needs the rights of root.")
    yield chunk
    subprocess.run(["umount", str(chunk)], check=True)


def test_a_chunk_that_cannot_be_deleted_is_told_once_and_stops_nothing(tmp_path, undeletable):
    writer = writer_for(tmp_path / "cam.mp4", keep_bytes=1)
    write_timed(writer, range(160))
    chunks = writer.close()
    assert [path == undeletable for path in chunks] == [True, False]
    assert writer.warnings == (
        f"{undeletable}: cannot be deleted (Device or resource busy); delete it.",
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_what_a_killed_writer_left_becomes_a_chunk_and_the_next_one_goes_on(tmp_path, suffix):
    path = tmp_path / f"cam{suffix}"
    written = record_and_kill(path, 4, frames=370)
    left = names(tmp_path)
    assert len([name for name in left if ".partial" in name]) == 1
    writer = writer_for(path)
    finished = names(tmp_path)
    assert finished == [name.replace(".partial", "") for name in left]
    counts = [len(frame_times(tmp_path / name)) for name in finished]  # without an error at the end
    assert counts[:-1] == [100] * (len(counts) - 1)
    assert written - 80 <= sum(counts) <= written + 10
    write_timed(writer, range(9000, 9060))
    assert [len(frame_times(chunk)) for chunk in writer.close()] == [*counts, 50, 10]


def test_a_chunk_that_another_process_is_writing_is_left_alone(tmp_path):
    path = tmp_path / "cam.mp4"
    process = start_recorder(path, 3600)
    try:
        wait_for_frames(process, 120)
        (theirs,) = tmp_path.iterdir()
        writer = writer_for(path)
        write_timed(writer, range(60))
        writer.close()
        assert theirs.exists()
        wait_for_frames(process, 200)
    finally:
        end_recorder(process)


def test_what_does_not_play_of_a_killed_writer_is_removed(tmp_path):
    (tmp_path / "cam-20200101T000000Z.partial.mp4").write_bytes(b"\0\0\0\x18ftyp")
    (tmp_path / "cam-mine.partial.mp4").write_bytes(b"mine")
    writer_for(tmp_path / "cam.mp4").close()
    assert names(tmp_path) == ["cam-mine.partial.mp4"]


@pytest.fixture
def small_files():
    """No file of this process may grow beyond 1 MB: the next best thing to a full disk."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_fails_leaves_all_that_was_written(tmp_path, small_files, capfd):
    writer = writer_for(tmp_path / "cam.mp4", width=320, height=240, crf=10)
    plain = planes_from(np.full(320 * 240 * 3 // 2, 90, np.uint8), 320, 240)
    for pts in range(175):
        writer.write(plain, pts)
    with pytest.raises(OutputError) as caught:
        write_noise(writer, (320, 240), range(175, 600))
    chunks = [path for path in sorted(tmp_path.iterdir()) if ".partial" not in path.name]
    assert [len(frame_times(path)) for path in chunks] == [50, 50, 50]
    assert re.match(
        rf"{tmp_path}/cam-\d{{8}}T\d{{6}}Z.mp4: cannot be written \(File too large\) after \d+ "
        r"frames; choose another folder\.",
        str(caught.value),
    )
    with pytest.raises(OutputError):
        writer.close()
    writer.abort()
    assert capfd.readouterr() == ("", "")


def test_sound_goes_on_from_chunk_to_chunk(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", pts=range(125), sound="aac")
    (tmp_path / "out").mkdir()
    # An mp4 tells where a stream begins in units of the pictures' time base.
    fine = Fraction(1, 90_000)
    writer = writer_for(tmp_path / "out" / "cam.mp4", audio_from=str(clip), time_base=fine)
    write_timed(writer, range(0, 125 * 3600, 3600))
    chunks = writer.close()
    assert len(chunks) == 3
    (whole,) = sound_times(clip)
    copied = [sound_times(path)[0] for path in chunks]
    # A packet across a cut is left out of the chunk that begins in the middle of it.
    assert len(whole) - 4 <= sum(len(times) for times in copied) <= len(whole)
    for number, times in enumerate(copied):
        assert 0 <= times[0] < 0.05 or number == 0
        moved = [time_ + 2 * number for time_ in times]
        assert all(min(abs(a - b) for b in whole) < Fraction(1, 900) for a in moved)
    assert writer.warnings == ()


def test_giving_up_keeps_the_last_chunk_under_its_partial_name(tmp_path):
    writer = writer_for(tmp_path / "cam.mp4")
    write_timed(writer, range(60))
    partial = writer.abort()
    assert partial is not None
    assert names(tmp_path)[1] == partial.name
    assert len(frame_times(partial)) == 10
    with pytest.raises(OutputError, match="given up"):
        write_timed(writer, [70])


def test_nothing_is_left_where_nothing_was_recorded(tmp_path):
    assert writer_for(tmp_path / "a.mp4").abort() is None
    assert writer_for(tmp_path / "b.mp4").close() == ()
    assert names(tmp_path) == []


def test_closing_twice_says_the_same_and_a_late_frame_is_refused(tmp_path):
    writer = writer_for(tmp_path / "cam.mp4")
    write_timed(writer, range(60))
    assert writer.close() == writer.close()
    with pytest.raises(StageError, match="already closed"):
        write_timed(writer, [70])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length_s": 0.5}, r"--segment: 0\.5 s was given; it must be at least 1 s\."),
        ({"length_s": 600, "keep_s": 60}, r"--keep: 60 s is less than a chunk of 600 s; keep"),
    ],
)
def test_what_would_keep_nothing_is_refused(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        writer_for(tmp_path / "cam.mp4", **options)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(OutputError, match="no such folder; create it"):
        writer_for(tmp_path / "missing" / "cam.mp4")


def test_the_partial_name_is_the_chunk_s_own(tmp_path):
    assert partial_path(tmp_path / OLD).name == "cam-20200101T000000Z.partial.mp4"
