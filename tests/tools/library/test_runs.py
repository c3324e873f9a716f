"""Runs in the caller's process: frames in its hands, and how a run ends."""

import asyncio
import os
import signal
import threading
import time

import numpy as np
import pytest

import maskstream as ms
from maskstream.stream.pixels.stamp import read_stamp

SOURCE = "synthetic:numbered?size=320x240&fps=30&frames=40"
LONG = "synthetic:numbered?size=320x240&fps=30&frames=100000"

pytestmark = pytest.mark.system


@pytest.fixture(scope="module", autouse=True)
def nothing_stays():
    yield
    left = [t for t in threading.enumerate() if t.name.startswith("maskstream")]
    for thread in left:
        thread.join(5)  # a handler that was at work
    assert [t.name for t in left if t.is_alive()] == []


def numbers(run):
    return [frame.sequence for frame in run]


def test_every_frame_of_a_file_comes_in_order_however_slow_the_caller_is():
    with ms.open(SOURCE, engine="person-light") as run:
        seen = []
        for frame in run:
            seen.append((frame.sequence, read_stamp(frame.planes.y)[0]))
            time.sleep(0.01)
    assert seen == [(number, number) for number in range(40)]
    assert run.report is not None
    assert (run.report.frames.delivered, run.report.frames.dropped) == (40, {})


def test_a_frame_gives_pixels_times_and_what_was_seen(clips_dir):
    with ms.open(clips_dir / "vtest.avi", engine="person-light", max_frames=12, track=True) as run:
        frames = [frame.copy() for frame in run]
    frame = frames[-1]
    assert (frame.width, frame.height, frame.image.shape) == (768, 576, (576, 768, 3))
    assert frame.pts_s == pytest.approx(1.1)
    assert np.array_equal(frame.image, frame.bgr[..., ::-1])
    assert {seen.class_name for seen in frame.instances} == {"person"}
    assert all(seen.track_id for seen in frame.instances)


def test_classes_are_known_with_the_very_first_frame(clips_dir):
    """Before any figures are: an engine may be ready, and a frame there, between two of them."""
    with ms.open(clips_dir / "vtest.avi", engine="person-light", max_frames=3) as run:
        for frame in run:
            run._figures = None
            assert {seen.class_name for seen in frame.instances} == {"person"}
            assert frame.source_name.endswith("vtest.avi")


def test_planes_are_the_frames_own_and_cannot_be_written():
    with ms.open(SOURCE, engine="person-light") as run:
        for frame in run:
            with pytest.raises(ValueError, match="read-only"):
                frame.planes.y[0, 0] = 1


def test_a_frame_whose_turn_is_over_raises():
    with ms.open(SOURCE, engine="person-light") as run:
        first = next(iter(run))
        kept = first.copy()
        list(run)
    with pytest.raises(ms.FrameOverError):
        first.image  # noqa: B018 - the access is what raises
    assert read_stamp(kept.planes.y)[0] == 0


def test_leaving_early_ends_everything_and_finishes_what_is_recorded(tmp_path):
    path = tmp_path / "rec.mp4"
    with ms.open(LONG, engine="person-light", outputs=path) as run:
        for frame in run:
            if frame.sequence == 10:
                break
    assert path.stat().st_size > 0
    assert run.report is not None
    frames = run.report.frames
    assert frames.captured == frames.delivered + sum(frames.dropped.values())
    assert frames.in_flight == 0


def test_an_error_in_the_loop_ends_the_run_and_is_raised():
    def divide():
        with ms.open(LONG, engine="person-light") as run:
            for frame in run:
                frame.sequence / 0

    with pytest.raises(ZeroDivisionError):
        divide()


def test_stopping_lets_the_frames_on_their_way_come():
    with ms.open(LONG, engine="person-light") as run:
        seen = []
        for frame in run:
            seen.append(frame.sequence)
            if frame.sequence == 5:
                run.stop()
    assert seen == list(range(len(seen)))
    assert run.report is not None
    assert run.report.frames.delivered == len(seen)


def test_two_sources_are_told_apart():
    with ms.open([SOURCE, SOURCE], engine="person-light") as run:
        seen = [(frame.source, frame.sequence) for frame in run]
    for source in (0, 1):
        assert [number for of, number in seen if of == source] == list(range(40))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scor": 0.5}, "scor: no such argument of maskstream.open; did you mean 'score'"),
        ({"score": 7}, "score: 7 was given; Input should be less than or equal to 1"),
        ({"score": "high"}, "score: 'high' was given"),
        ({"engine": "absent"}, "absent"),
        ({"report": "r.json"}, r"report: belongs to the command; use run\.report"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_starts(arguments, message):
    with pytest.raises(ms.MaskstreamError, match=message):
        ms.open(SOURCE, **arguments)


def test_a_source_that_is_not_there_is_refused():
    with pytest.raises(ms.SourceError, match=r"absent\.mp4: no such file"):
        ms.open("absent.mp4").wait()


def test_a_stage_that_dies_is_raised_in_the_loop_with_what_it_said():
    def run_until_killed():
        with ms.open(LONG, engine="person-light") as run:
            for frame in run:
                if frame.sequence == 3 and run.figures is not None:
                    (infer,) = [s for s in run.figures.stages if s.name == "infer"]
                    os.kill(infer.pid, signal.SIGKILL)

    with pytest.raises(ms.RunError, match="infer") as raised:
        run_until_killed()
    assert raised.value.run_exit_code == 4


def test_a_run_works_from_a_thread_and_inside_asyncio():
    seen = []

    async def consume():
        async with ms.open(SOURCE, engine="person-light") as run:
            async for frame in run:
                seen.append(frame.sequence)

    thread = threading.Thread(target=lambda: asyncio.run(consume()))
    thread.start()
    thread.join(100)
    assert seen == list(range(40))


def test_handlers_that_raise_or_sleep_neither_end_nor_hold_up_a_run(clips_dir):
    run = ms.open(clips_dir / "vtest.avi", engine="person-light", max_frames=40)
    calls = []

    @run.on("instances")
    def fails(frame):
        raise RuntimeError("mine")

    @run.on("instances")
    def sleeps(frame):
        calls.append(frame.sequence)
        time.sleep(0.3)

    report = run.wait()
    assert report.frames.delivered == 40
    assert run.handler_errors > 0
    assert run.handler_late > 0
    assert calls == sorted(calls)
