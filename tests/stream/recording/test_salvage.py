"""What killed writers leave: finished where it plays, never written over."""

from pathlib import Path

import pytest

from maskstream.engines.files.disk import partial_path
from maskstream.stream.processes.partial_files import hold
from maskstream.stream.recording.salvage import continue_recording, salvage
from tests.helpers.clips import frame_times, make_clip
from tests.helpers.killed import end_recorder, record_and_kill, start_recorder, wait_for_frames


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_writer_after_writer_is_killed_and_every_part_is_kept(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"of an earlier run")  # which this run was to replace
    record_and_kill(path, frames=120)
    second = continue_recording(path)
    assert second == tmp_path / f"out-2{suffix}"
    record_and_kill(second, frames=120)
    assert continue_recording(path) == tmp_path / f"out-3{suffix}"
    assert names(tmp_path) == sorted([f"out{suffix}", f"out-2{suffix}"])
    for part in tmp_path.iterdir():
        # Read to the end without an error: what was torn is cut off.
        assert 50 <= len(frame_times(part)) <= 140


def test_a_writer_that_left_nothing_leaves_its_name(tmp_path):
    path = tmp_path / "out.mp4"
    assert continue_recording(path) == path
    partial_path(path).write_bytes(b"\0\0\0\x18ftyp")
    assert continue_recording(path) == path
    assert names(tmp_path) == []


def test_names_of_others_are_gone_around(tmp_path):
    path = tmp_path / "out.mp4"
    for name in ("out-2.mp4", "out-3.partial.mp4", "out-mine.partial.mp4", "out2.partial.mp4"):
        make_clip(tmp_path / name)
    make_clip(partial_path(path))
    held = hold(tmp_path / "out-3.partial.mp4")  # another run's
    assert continue_recording(path) == tmp_path / "out-4.mp4"
    held.close()
    assert names(tmp_path) == [
        "out-2.mp4", "out-3.partial.mp4", "out-mine.partial.mp4", "out.mp4", "out2.partial.mp4",
    ]  # fmt: skip


def test_a_finished_file_is_never_replaced_by_another_run_s_leftover(tmp_path):
    (tmp_path / "out-2.mp4").write_bytes(b"whole")
    make_clip(tmp_path / "out-2.partial.mp4")
    (tmp_path / "out.mp4").write_bytes(b"ours")
    assert continue_recording(tmp_path / "out.mp4") == tmp_path / "out-3.mp4"
    assert (tmp_path / "out-2.mp4").read_bytes() == b"whole"
    assert (tmp_path / "out-2.partial.mp4").exists()


def test_a_recording_that_goes_on_is_left_alone(tmp_path):
    path = tmp_path / "out.mp4"
    process = start_recorder(path)
    try:
        wait_for_frames(process, 120)
        assert continue_recording(path) == tmp_path / "out-2.mp4"
        assert salvage(str(path)) is None
        assert names(tmp_path) == ["out.partial.mp4"]
    finally:
        end_recorder(process)


def test_all_that_killed_writers_left_is_told_in_one_line(tmp_path):
    kept = [tmp_path / name for name in ("out-2.partial.mp4", "out.partial.mp4")]
    chunk = tmp_path / "out-20261120T210000Z.partial.mp4"
    for path in (*kept, chunk):
        make_clip(path)
    (tmp_path / "out-3.partial.mp4").write_bytes(b"garbage")
    assert salvage(str(tmp_path / "out.mp4")) == (
        f"{kept[0]}, {kept[1]}, {chunk}: holds what was written before the end."
    )
    assert names(tmp_path) == sorted(path.name for path in (*kept, chunk))


def test_results_are_kept_where_there_are_any(tmp_path):
    partial = tmp_path / "seen.partial.ndjson"
    partial.write_text("")
    assert salvage(str(tmp_path / "seen.ndjson")) is None
    assert not partial.exists()
    partial.write_text('{"source":0}\n')
    assert salvage(str(tmp_path / "seen.ndjson")) == (
        f"{partial}: holds what was written before the end."
    )


@pytest.mark.parametrize("path", ["missing/out.mp4", "tcp://127.0.0.1:5557", "null:"])
def test_where_nothing_can_be_nothing_is_found(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    assert salvage(path) is None
