"""Real frames into real files: masks on their own frame, and files that play after any death."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import av
import numpy as np
import pytest

from maskstream.engines.files.disk import partial_path
from maskstream.stream.options import CodecOptions, StyleOptions
from maskstream.stream.pixels.stamp import read_stamp
from maskstream.stream.sources.synthetic import figure_box
from tests.helpers.line import Recorder, run
from tests.stream.supervision.test_signals import Command, wait_until_gone

pytestmark = pytest.mark.usefixtures("nothing_left")

SIZE = (320, 240)
ENDLESS = "synthetic:numbered?size=320x240&fps=30&frames=1000000"
REAL = ("source", "writer")
LOSSLESS = CodecOptions(preset="ultrafast", crf=0)


def planes(path: Path) -> list[np.ndarray]:
    """Returns the I420 pictures of a file, (360, 320) each."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


def numbers(path: Path) -> list[int]:
    """Returns the numbers that the pictures of a file carry."""
    return [read_stamp(picture[: SIZE[1]]).frame_number for picture in planes(path)]


def record(path: Path, frames: int, *, opacity: float = 1, **others):
    source = f"synthetic:numbered?size=320x240&fps=30&frames={frames}"
    # No labels: one over a figure high up would cover the frame's number.
    style = StyleOptions(opacity=opacity, boxes=False, labels=False)
    asked = {"real": REAL, "engine": "reader", "codec": LOSSLESS, "style": style, **others}
    return run(source, output=str(path), **asked)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_every_frame_is_recorded_once_and_in_order(tmp_path, name):
    result = record(tmp_path / name, 90)
    assert result.exit_code == 0
    assert result.outputs == (str(tmp_path / name),)
    assert numbers(tmp_path / name) == list(range(90))
    assert sorted(tmp_path.iterdir()) == [tmp_path / name]


def test_masks_and_results_belong_to_their_own_frame(tmp_path):
    plain, drawn, found = (tmp_path / name for name in ("plain.mkv", "drawn.mkv", "found.ndjson"))
    record(plain, 60, opacity=0)
    record(drawn, 60, results=found, batch=4)
    rows = [json.loads(line) for line in found.read_text().splitlines()]
    for number, (before, after) in enumerate(zip(planes(plain), planes(drawn), strict=True)):
        box = figure_box(number, *SIZE)
        # The stamps hold a clock, which differs between the runs; masks lie below.
        below = SIZE[1] // 8
        changed = np.argwhere(before[below : SIZE[1]] != after[below : SIZE[1]])
        top, left = changed.min(axis=0)
        bottom, right = changed.max(axis=0) + 1
        assert (left, top + below, right, bottom + below) == box
        left, top, width, height = rows[number]["instances"][0]["box"]
        assert (left, top, left + width, top + height) == box


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize("stage", ["capture", "infer", "overlay"])
def test_the_file_is_finished_when_a_stage_before_the_sink_is_killed(tmp_path, stage, name):
    out = tmp_path / name
    recorder = killing(stage)
    result = run(ENDLESS, real=REAL, recorder=recorder, output=str(out))
    assert result.exit_code == 4
    delivered = result.figures.frames.delivered
    assert numbers(out) == list(range(delivered))
    assert delivered > 20
    assert sorted(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_what_a_killed_sink_recorded_plays_and_its_place_is_told(tmp_path, name):
    out = tmp_path / name
    result = run(
        ENDLESS, real=REAL, recorder=killing("sink", after=200), output=str(out), codec=LOSSLESS
    )
    assert result.exit_code == 4
    partial = partial_path(out)
    assert sorted(tmp_path.iterdir()) == [partial]
    assert result.notes == (f"{partial}: holds what was written before the end.",)
    kept = numbers_until_torn(partial)
    assert kept == list(range(len(kept)))
    assert len(kept) > 30


def test_nothing_is_kept_of_a_sink_that_was_killed_at_once(tmp_path):
    out = tmp_path / "out.mp4"
    result = run(ENDLESS, real=REAL, recorder=killing("sink", after=0), output=str(out))
    assert result.exit_code == 4
    left = sorted(tmp_path.iterdir())
    assert left == [] or numbers_until_torn(left[0])  # what is kept plays


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_the_file_is_finished_when_the_supervisor_is_killed(tmp_path, name):
    out = tmp_path / name
    command = Command(sources=[ENDLESS], real=list(REAL), engine="fake", output=str(out))
    try:
        pids = command.pids()
        time.sleep(0.5)
        os.kill(command.process.pid, signal.SIGKILL)
        assert wait_until_gone(pids.values(), 2) == []
        assert command.process.stderr is not None
        assert command.process.stderr.read() == ""
    finally:
        command.close()
    assert sorted(tmp_path.iterdir()) == [out]
    kept = numbers(out)
    assert kept == list(range(len(kept)))
    assert len(kept) > 10


def killing(stage: str, *, after: int = 20) -> Recorder:
    """Returns a recorder that kills ``stage`` once more than ``after`` frames are delivered."""

    def kill(_) -> None:
        os.kill(recorder.pid(stage), signal.SIGKILL)

    recorder = Recorder(when=lambda snapshot: snapshot.frames.delivered >= after, act=kill)
    return recorder


def numbers_until_torn(path: Path) -> list[int]:
    """Returns the numbers of a file whose end may be torn."""
    found = []
    with av.open(str(path)) as container:
        try:
            for frame in container.decode(video=0):
                picture = frame.to_ndarray(format="yuv420p").astype(np.uint8, copy=False)
                found.append(read_stamp(picture[: SIZE[1]]).frame_number)
        except av.error.InvalidDataError:
            return found
    return found


@pytest.mark.parametrize("name", ["x" * 251, "名" * 83 + "a", "é" * 125])
def test_a_name_as_long_as_a_file_system_takes_has_a_shorter_partial_name(tmp_path, name):
    path = tmp_path / f"{name}.mp4"
    path.touch()  # the name itself is possible
    path.unlink()
    partial = partial_path(path)
    partial.touch()
    assert partial != path
    assert partial.suffixes == [".partial", ".mp4"]
    assert partial_path(tmp_path / f"{name[:-1]}b.mp4") != partial
