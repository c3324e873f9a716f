"""The bench of the figures' cost runs both ways; how fast is no matter here."""

import pytest

from maskstream.tools.bench.telemetry import TelemetryCost, measure_telemetry
from tests.helpers.line import options


def test_the_cost_is_the_median_loss_of_the_rounds():
    cost = TelemetryCost(100.0, 98.0, (0.98, 0.99, 0.5), 1.0, 2.0)
    assert cost.cost == pytest.approx(0.02)


def test_both_ways_are_run_and_measured():
    cost = measure_telemetry(options("fake:frames=20&period_ms=25"), rounds=1)
    assert len(cost.ratios) == 1
    assert cost.ratios[0] == pytest.approx(cost.on_fps / cost.off_fps)
    assert cost.on_fps > 0
    assert cost.on_cpu_ms_per_s > 0
    assert cost.off_cpu_ms_per_s > 0


def test_a_run_that_fails_is_no_measurement():
    with pytest.raises(RuntimeError, match="has to end well"):
        measure_telemetry(options("fake:frames=9&raise_at=3"), rounds=1)
