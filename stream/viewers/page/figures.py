"""What the page shows of a run's figures: a smaller document, and points for its charts.

The status document's counters only grow; what moves on a chart is their change from one document
to the next. Keys that a document lacks are left out, as the page and the run may differ in version.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import PurePath
from typing import Any

HISTORY_COUNT = 180
"""Points kept for whoever opens the page: three minutes."""

_RUN_KEYS = ("state", "wall_s", "fps", "fps_1s", "latency_ms", "bottleneck", "frames", "engine")
_STAGE_KEYS = (
    "name", "kind", "source_id", "state", "restarts", "in_count", "out_count", "fps_1s", "fps_10s",
    "busy", "wait_ms", "work_ms", "queue_depth", "cpu_s", "rss_bytes", "dropped",
)  # fmt: skip
_ENGINE_KEYS = ("family", "backend", "device", "precision", "input_size", "reason")

Json = dict[str, Any]


class Figures:
    """Turns status documents into the page's own, and remembers the last minutes."""

    def __init__(self) -> None:
        """Begin without any."""
        self.history: deque[Json] = deque(maxlen=HISTORY_COUNT)
        """Points, oldest first."""
        self._before: Json | None = None

    def add(self, payload: bytes) -> str:
        """Return the page's message for a status document in JSON."""
        status = json.loads(payload)
        point = None if self._before is None else _point(self._before, status)
        self._before = status
        if point is not None:
            self.history.append(point)
        return json.dumps({"kind": "figures", **_document(status), "point": point})


def _document(status: Json) -> Json:
    figures = status["figures"]
    document = {key: figures[key] for key in _RUN_KEYS if key in figures}
    engine = document.get("engine")
    if engine is not None:
        # Its name is enough: whoever looks on need not know where the file lies.
        document["engine"] = {"name": PurePath(engine["path"]).stem} | {
            key: engine[key] for key in _ENGINE_KEYS if key in engine
        }
    document["stages"] = [
        {key: stage[key] for key in _STAGE_KEYS if key in stage} for stage in figures["stages"]
    ]
    document["sources"] = figures.get("sources", [])
    return document


def _point(before: Json, now: Json) -> Json | None:
    """Return what changed from one document to the next; None where no time has passed."""
    elapsed_s = now["sent_s"] - before["sent_s"]
    if elapsed_s <= 0:
        return None
    olds = {stage["name"]: stage for stage in before["figures"]["stages"]}
    stages = [(olds[s["name"]], s) for s in now["figures"]["stages"] if s["name"] in olds]
    fps: dict[str, float] = {}
    busy: dict[str, float] = {}
    for old, new in stages:
        kind = new["kind"]
        fps[kind] = fps.get(kind, 0.0) + max(0, new["out_count"] - old["out_count"]) / elapsed_s
        busy[kind] = max(busy.get(kind, 0.0), _busy_share(before, now, old, new))
    return {
        "t": now["sent_s"],
        "fps": {kind: round(value, 2) for kind, value in fps.items()},
        "busy": {kind: round(value, 3) for kind, value in busy.items()},
        "latency_ms": _latency_ms(now["bounds_s"], stages),
        "dropped": _dropped_per_s(before, now, elapsed_s),
    }


def _busy_share(before: Json, now: Json, old: Json, new: Json) -> float:
    """Return the share of the time between two documents that a stage was at work."""
    wall_before_s, wall_s = before["figures"]["wall_s"], now["figures"]["wall_s"]
    if wall_s <= wall_before_s:
        return 0.0
    worked_s = new["busy"] * wall_s - old["busy"] * wall_before_s
    return min(1.0, max(0.0, float(worked_s / (wall_s - wall_before_s))))


def _dropped_per_s(before: Json, now: Json, elapsed_s: float) -> dict[str, float]:
    olds: Mapping[str, int] = before["figures"]["frames"]["dropped"]
    news: Mapping[str, int] = now["figures"]["frames"]["dropped"]
    rates = {cause: (count - olds.get(cause, 0)) / elapsed_s for cause, count in news.items()}
    return {cause: round(rate, 2) for cause, rate in rates.items()}


def _latency_ms(bounds_s: list[float], stages: Iterable[tuple[Json, Json]]) -> Json:
    """Return mean and 95th percentile, capture to delivery, of what was delivered in between."""
    counts = [0] * (len(bounds_s) + 1)
    total_s = 0.0
    for old, new in stages:
        if new["kind"] == "sink" and len(new["total"]["counts"]) == len(counts):
            before = old["total"]["counts"] or [0] * len(counts)
            changes = zip(counts, new["total"]["counts"], before, strict=True)
            counts = [count + after - ago for count, after, ago in changes]
            total_s += new["total"]["sum_s"] - old["total"]["sum_s"]
    if counts[-1] <= 0:
        return {"mean": None, "p95": None}
    p95_s = _quantile_s(bounds_s, counts, 0.95)
    return {"mean": round(1e3 * total_s / counts[-1], 1), "p95": round(1e3 * p95_s, 1)}


def _quantile_s(bounds_s: list[float], counts: list[int], share: float) -> float:
    """Return a quantile of durations counted up to each bound, straight between two bounds."""
    wanted = share * counts[-1]
    edges = pairwise(zip([0.0, *bounds_s], [0, *counts[:-1]], strict=True))
    for (low_s, below), (high_s, count) in edges:
        if count >= wanted:
            return low_s + (high_s - low_s) * (wanted - below) / (count - below)
    return bounds_s[-1]
