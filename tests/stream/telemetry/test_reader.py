"""Figures from pages and slots; every number by hand."""

from __future__ import annotations

import pytest

from maskstream.stream.memory.counters import StagePage
from maskstream.stream.memory.frame import Holder
from maskstream.stream.memory.pool import BufferPool
from maskstream.stream.memory.slot import SlotLayout
from maskstream.stream.supervision.stall import StallWatch
from maskstream.stream.telemetry.reader import Subject, Telemetry

MS = 1_000_000


@pytest.fixture
def line(nothing_left):
    """Pages of the four stages, a pool of four slots, and the telemetry over them."""
    pool = BufferPool.create(SlotLayout(16, 16, top_k=1, patch_px=4), 4)
    holders = (Holder.CAPTURE, Holder.INFER, Holder.OVERLAY, Holder.SINK)
    subjects = [
        Subject(holder.name.lower(), holder, (0,), 100 + holder, StagePage.create())
        for holder in holders
    ]
    yield subjects, pool, Telemetry(subjects, [pool], frame_total=10)
    pool.close()
    for subject in subjects:
        subject.page.close()


def put(subjects, pool, slot: int, holder: Holder = Holder.INFER) -> None:
    """What capture does with a slot."""
    page = subjects[0].page
    header = pool.slot(slot).header
    header.delivery_ordinal = 0
    header.put_ordinal = page.given + 1
    header.hold(holder)
    page.count_taken()
    page.count_given()


def test_frames_in_slots_are_in_flight(line):
    subjects, pool, telemetry = line
    put(subjects, pool, 0)
    put(subjects, pool, 1, Holder.SINK)
    subjects[0].page.count_dropped("stale")
    tally = telemetry.tally()
    assert (tally.captured, tally.delivered, tally.in_flight) == (3, 0, 2)
    assert tally.dropped == {"stale": 1}
    assert tally.gap == 0


def test_a_frame_that_got_lost_shows_as_a_gap(line):
    subjects, pool, telemetry = line
    put(subjects, pool, 0)
    pool.slot(0).header.hold(Holder.FREE)
    assert telemetry.tally().gap == 1


def test_a_capture_killed_before_its_count_has_captured_nothing(line):
    _, pool, telemetry = line
    header = pool.slot(2).header
    header.put_ordinal = 1
    header.hold(Holder.INFER)  # the next store would have been the count
    tally = telemetry.tally()
    assert (tally.captured, tally.in_flight, tally.gap) == (0, 0, 0)


@pytest.mark.parametrize(("is_counted", "delivered"), [(False, 0), (True, 1)])
def test_a_sink_killed_around_its_count_loses_no_frame(line, is_counted, delivered):
    subjects, pool, telemetry = line
    put(subjects, pool, 0, Holder.SINK)
    pool.slot(0).header.delivery_ordinal = 1
    if is_counted:
        subjects[3].page.count_given()
    tally = telemetry.tally()
    assert (tally.delivered, tally.in_flight, tally.gap) == (delivered, 1 - delivered, 0)


def test_rates_busy_share_and_latency_are_over_the_runs_time(line):
    subjects, _, telemetry = line
    telemetry.begin(100.0)
    sink = subjects[3].page
    for number in range(30):
        sink.count_given()
        sink.total.record(20 * MS)
        sink.begin(number, 0)
        sink.begin(number, 1)
        sink.rest(1 + 50 * MS)
    figures = telemetry.snapshot("running", 102.0)
    assert figures.wall_s == 2.0
    assert figures.fps == 15.0
    assert figures.fps_1s == 15.0
    assert figures.stages[3].busy == pytest.approx(0.75)
    assert figures.bottleneck == "sink"
    assert figures.latency_ms.p95 == pytest.approx(20, rel=0.05)
    assert figures.frame_total == 10


def test_rates_of_one_and_ten_seconds_differ_after_a_pause(line):
    subjects, _, telemetry = line
    telemetry.begin(100.0)
    for second in range(1, 13):
        for _ in range(10 if second <= 10 else 0):
            subjects[3].page.count_given()
        figures = telemetry.snapshot("running", 100.0 + second)
    assert figures.fps_1s == 0
    assert figures.stages[3].fps_10s == 8.0
    assert figures.fps == pytest.approx(100 / 12)


def test_time_stands_still_after_the_end(line):
    _, _, telemetry = line
    telemetry.begin(100.0)
    telemetry.end(103.0)
    assert telemetry.snapshot("ended", 250.0).wall_s == 3.0


def test_queue_depth_is_what_lies_ready_beside_the_item_in_hand(line):
    subjects, pool, telemetry = line
    for slot in range(3):
        put(subjects, pool, slot)
    subjects[1].page.begin(0, 1)
    depths = {stage.name: stage.queue_depth for stage in telemetry.snapshot("running", 1.0).stages}
    assert depths == {"capture": 0, "infer": 2, "overlay": 0, "sink": 0}


def test_a_line_at_rest_is_blamed_on_the_stage_that_works_for_longest(line):
    subjects, _, _ = line
    watch = StallWatch(60)
    subjects[1].page.begin(7, 2_000)
    subjects[0].page.begin(9, 3_000)
    assert watch.look(subjects, 10.0) is None
    assert watch.look(subjects, 69.9) is None
    stall = watch.look(subjects, 70.0)
    assert stall is not None
    assert stall.label == "infer"
    assert "frame 7" in stall.text


def test_a_line_at_rest_without_work_is_blamed_on_who_does_not_take(line):
    subjects, _, _ = line
    watch = StallWatch(5)
    subjects[0].page.count_given()
    subjects[0].page.count_given()
    subjects[1].page.count_taken(2)
    subjects[1].page.count_given()
    watch.look(subjects, 0.0)
    stall = watch.look(subjects, 5.0)
    assert stall is not None
    assert stall.label == "overlay"


def test_a_line_that_moves_is_not_stalled(line):
    subjects, _, _ = line
    watch = StallWatch(5)
    for second in range(0, 40, 4):
        subjects[3].page.count_given()
        assert watch.look(subjects, float(second)) is None


def test_a_stage_shows_its_own_drops_and_distributions(line):
    subjects, _, telemetry = line
    page = subjects[0].page
    page.count_dropped("stale")
    for _ in range(3):
        page.work.record(10 * MS)
    telemetry.begin(100.0)
    capture = telemetry.snapshot("running", 101.0).stages[0]
    assert capture.dropped == {"stale": 1}
    assert (capture.work.counts[0], capture.work.counts[-1]) == (0, 3)
    assert capture.work.sum_s == pytest.approx(0.030, rel=0.022)
    assert set(capture.wait.counts) == {0}
