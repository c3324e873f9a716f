"""Faults one after the other in whole runs with cameras on RTSP: short forms of what benches do.

Only counts are asserted here. How long things take is for `maskstream bench` and `make soak`.
"""

import pytest

from maskstream.tools.bench.live.kills import measure_kills
from maskstream.tools.bench.live.orphans import measure_orphans
from maskstream.tools.bench.live.overload import measure_overload
from maskstream.tools.bench.live.reconnect import measure_reconnect
from maskstream.tools.bench.live.soak_live import measure_soak
from tests.helpers.engines.tiny import tiny_engine_file

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def engine() -> str:
    return str(tiny_engine_file())


def test_stages_killed_at_random_come_back_and_every_frame_is_accounted_for(engine):
    figures = measure_kills(engine, count=8, fps=10, seed=4)
    assert len({kill.kind for kill in figures.kills}) > 2
    assert figures.restarts == len(figures.kills) == 8
    assert (figures.gap, figures.in_flight, figures.left_count) == (0, 0, 0)


def test_what_an_engine_has_no_time_for_is_left_out_as_stale_and_frames_do_not_get_older(engine):
    figures = measure_overload(engine, length_s=20, fps=15)
    assert figures.gap == 0
    assert set(figures.dropped) <= {"stale", "shutdown"}
    # One frame in three has time; a busy machine leaves out more.
    assert figures.dropped["stale"] >= figures.captured // 2
    # A line that queued would be seconds behind by the last third.
    first, _, last = figures.age_ms
    assert last.p50 < first.p50 + 1000


def test_a_killed_supervisor_leaves_no_process_port_or_file(engine):
    (figures,) = measure_orphans(engine, fps=10)
    # Two of capture, overlay and sink, infer, the page, the server.
    assert figures.process_count >= 9
    # The page, the server and the status.
    assert figures.port_count == 3
    assert figures.is_clean, figures


def test_a_camera_that_goes_and_comes_back_again_and_again_leaves_nothing_open(engine):
    figures = measure_reconnect(engine, count=4, fps=10)
    assert figures.gap == 0
    assert figures.noticed_s.count == figures.back_s.count == 4
    assert {name: each for name, each in figures.descriptors_each.items() if each > 0.5} == {}


def test_a_minute_of_faults_leaves_nothing_open_and_loses_no_count(engine, tmp_path):
    figures = measure_soak(engine, tmp_path, length_s=60, fault_s=8, warm_up_s=5, fps=10)
    # Over one minute memory says nothing yet.
    assert figures.complaints(is_memory_judged=False) == []
    assert set(figures.faults) == {
        "a stage is killed",
        "the page is killed",
        "a camera goes and comes back",
        "a camera stands still",
    }
    assert figures.captured == figures.delivered + sum(figures.dropped.values())
    # Chunks of a quarter of the run, of both cameras.
    assert len(list(tmp_path.rglob("*.m*"))) >= 6
