"""A snapshot with figures that differ everywhere, so that a swapped column shows."""

from dataclasses import replace
from typing import Any

from maskstream.stream.telemetry.snapshot import (
    EngineInfo,
    FrameTally,
    Percentiles,
    Snapshot,
    StageFigures,
)

BUSY = {"capture": 0.1, "infer": 0.9, "overlay": 0.2, "sink": 0.5}


def make_snapshot(delivered: int = 100, wall_s: float = 10.0, **changes: Any) -> Snapshot:
    """Return the figures of a run that delivered `delivered` frames in `wall_s` seconds."""
    figures = Snapshot(
        state="running",
        wall_s=wall_s,
        frames=FrameTally(
            captured=delivered + 5, delivered=delivered, dropped={"stale": 2}, in_flight=3
        ),
        frame_total=250,
        fps=delivered / wall_s if wall_s else 0.0,
        fps_1s=11.5,
        latency_ms=Percentiles(p50=40.0, p95=60.0, p99=120.4),
        bottleneck="infer",
        stages=tuple(_stage(name, busy) for name, busy in BUSY.items()),
        batch_sizes={1: 10, 4: 20},
        engine=EngineInfo(
            path="person.onnx",
            family="yolact",
            backend="openvino",
            device="cpu",
            precision="bf16",
            reason="",
            input_size=416,
            class_names=("person",),
        ),
        pool_bytes=1 << 24,
    )
    return replace(figures, **changes)


def _stage(name: str, busy: float) -> StageFigures:
    return StageFigures(
        name=name,
        kind=name,
        source_id=None,
        pid=1234,
        in_count=102,
        out_count=101,
        fps=10.0,
        fps_1s=9.0,
        fps_10s=9.5,
        busy=busy,
        wait_ms=Percentiles(p50=1.5, p95=2.5, p99=3.5),
        work_ms=Percentiles(p50=4.25, p95=5.25, p99=6.25),
        total_ms=Percentiles(p50=31.0, p95=32.0, p99=33.0),
        queue_depth=7,
        cpu_s=7.5,
        start_cpu_s=0.5,
        rss_bytes=88_000_000,
        rss_peak_bytes=99_000_000,
    )
