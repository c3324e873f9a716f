"""What capture gives on, and when."""

import pytest

from tests.helpers.line import Recorder, run

pytestmark = pytest.mark.usefixtures("nothing_left")

LIVE = "fake:live=1&frames=200&period_ms=10"


def most_ahead(recorder: Recorder) -> int:
    """The most frames that lay ready before infer, over all snapshots."""
    return max(
        stage.queue_depth
        for snapshot in recorder.snapshots
        for stage in snapshot.stages
        if stage.name == "infer"
    )


def test_a_live_sources_frames_do_not_lie_before_a_slow_engine():
    recorder = Recorder()
    result = run(LIVE, recorder=recorder, engine="fake?work_ms=50")
    frames = result.figures.frames
    assert (result.exit_code, frames.gap) == (0, 0)
    # A snapshot may see the next frame there before the engine is known to work on it.
    assert most_ahead(recorder) <= 1
    assert frames.dropped == {"stale": 200 - frames.delivered}


def test_a_batch_that_was_asked_for_can_come_together():
    recorder = Recorder()
    result = run(LIVE, recorder=recorder, engine="fake?work_ms=50", batch=3)
    assert result.figures.frames.gap == 0
    assert max(result.figures.batch_sizes) > 1


def test_frames_that_may_not_be_left_out_wait_in_the_slots():
    recorder = Recorder()
    result = run(LIVE, recorder=recorder, engine="fake?work_ms=20", policy="block")
    assert result.figures.frames.delivered == 200
    assert most_ahead(recorder) > 1
