"""A report with figures that differ everywhere, so that a swapped column shows."""

from stream.report import (
    EngineReport,
    FrameCounts,
    Percentiles,
    Report,
    StageReport,
    bottleneck,
)


def make_report(delivered: int = 100, wall_s: float = 10.0, **changes: object) -> Report:
    """Return a report of a run that delivered `delivered` frames in `wall_s` seconds."""
    busy = {"capture": 0.1, "infer": 0.9, "overlay": 0.2, "sink": 0.5}
    stages = {
        name: StageReport(
            fps=10.0,
            busy=share,
            wait_ms=Percentiles(p50=1.5, p95=2.5, p99=3.5),
            work_ms=Percentiles(p50=4.25, p95=5.25, p99=6.25),
            cpu_s=7.5,
            rss_bytes=88_000_000,
        )
        for name, share in busy.items()
    }
    report = Report(
        frames=FrameCounts(
            captured=delivered + 5, delivered=delivered, dropped={"stale": 2}, in_flight=3
        ),
        fps=delivered / wall_s,
        wall_s=wall_s,
        latency_ms=Percentiles(p50=40.0, p95=60.0, p99=120.4),
        bottleneck=bottleneck(busy),
        stages=stages,
        engine=EngineReport(
            path="person.onnx",
            family="yolact",
            backend="openvino",
            precision="bf16",
            input_size=416,
        ),
        batch_sizes={1: 10, 4: 20},
        versions={"python": "3.11"},
    )
    return report.model_copy(update=changes)
