"""The hand-over's measurement, short: its order of magnitude holds on any machine."""

from __future__ import annotations

from maskstream.tools.bench.handover import WAYS, measure_handover


def test_a_slot_changes_hands_at_least_twenty_times_faster_than_through_a_queue():
    measured = {row.way: row for row in measure_handover(frame_count=60, spacing_s=0.003)}
    assert set(measured) <= set(WAYS)
    ours, queue = measured["slot index (ours)"], measured["multiprocessing.Queue"]
    assert queue.p50_ms >= 20 * ours.p50_ms
    assert all(0 < row.p50_ms <= row.p95_ms <= row.p99_ms for row in measured.values())
