"""Pages: what a stage counts is read by others, in its life and after it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from maskstream.stream.memory.counters import DROP_CAUSES, StagePage
from maskstream.stream.memory.histogram import BUCKET_COUNT, bucket_of, percentiles_ns


@pytest.fixture
def page(nothing_left):
    made = StagePage.create()
    yield made
    made.close()


@pytest.mark.parametrize(
    "durations_ns",
    [
        pytest.param(np.random.default_rng(1).lognormal(15, 1.5, 20_000), id="lognormal"),
        pytest.param(np.random.default_rng(2).uniform(1e6, 9e6, 5_000), id="uniform"),
        pytest.param(np.full(100, 3.3e6), id="all-equal"),
        pytest.param(np.array([5e5]), id="single"),
    ],
)
def test_percentiles_agree_with_numpy_to_a_bucket(page, durations_ns):
    for duration_ns in durations_ns:
        page.work.record(int(duration_ns))
    expected = np.percentile(durations_ns, [50, 95, 99])
    np.testing.assert_allclose(page.work.percentiles_ns(0.5, 0.95, 0.99), expected, rtol=0.05)


def test_nothing_counted_has_no_percentiles(page):
    assert page.wait.percentiles_ns(0.5, 0.99) == [None, None]


def test_percentiles_of_a_sum_are_those_of_all_durations():
    early, late = (np.zeros(BUCKET_COUNT, np.uint64) for _ in range(2))
    early[bucket_of(1_000_000)] = 90
    late[bucket_of(100_000_000)] = 10
    p50, p95 = percentiles_ns(early + late, 0.5, 0.95)
    assert p50 == pytest.approx(1e6, rel=0.05)
    assert p95 == pytest.approx(1e8, rel=0.05)


@pytest.mark.parametrize(
    ("duration_ns", "bucket"),
    [(-5, 0), (0, 0), (1024, 0), (2048, 16), (2**20, 160), (10**15, BUCKET_COUNT - 1)],
)
def test_a_duration_falls_into_its_octave(duration_ns, bucket):
    assert bucket_of(duration_ns) == bucket


def work_until_killed(page: StagePage) -> None:
    page.mark_ready()
    page.count_taken(3)
    page.count_dropped("stale")
    page.count_batch(4)
    page.work.record(5_000_000)
    page.note("damaged after frame 28")
    page.begin(42, time.monotonic_ns())
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_counted_survives_the_stage(page):
    process = multiprocessing.get_context("spawn").Process(target=work_until_killed, args=(page,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    process.close()
    assert (page.taken, page.given, page.is_ready) == (3, 0, True)
    assert page.dropped() == {"stale": 1}
    assert page.batch_sizes() == {4: 1}
    assert page.notes() == ["damaged after frame 28"]
    assert page.busy_on()[0] == 42
    assert page.work.percentiles_ns(0.5) == pytest.approx([5e6], rel=0.05)
    assert page.rss_bytes > 5e6
    assert 0 < page.start_cpu_s <= page.cpu_s


def test_time_at_work_is_summed_between_begin_and_rest(page):
    page.begin(1, 1000)
    assert page.busy_on() == (1, 1000)
    page.rest(1700)
    page.rest(9999)  # nothing is in hand any more
    page.begin(2, 2000)
    page.rest(2300)
    assert page.worked_ns == 1000
    assert page.busy_on() is None


def test_every_cause_of_the_closed_list_is_counted(page):
    for times, cause in enumerate(DROP_CAUSES, 1):
        for _ in range(times):
            page.count_dropped(cause)
    assert page.dropped() == {cause: times for times, cause in enumerate(DROP_CAUSES, 1)}


def test_notes_beyond_the_room_are_cut(page):
    page.note("first")
    page.note("x" * 10_000)
    assert page.notes()[0] == "first"
    assert len("\n".join(page.notes())) == 2048
