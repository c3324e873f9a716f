"""The Grafana dashboard that lies beside this file: `python -m maskstream.tools.dev.grafana`
writes it again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DASHBOARD_PATH = Path(__file__).with_name("grafana-dashboard.json")
_COLUMNS = 24
_PANEL_HEIGHT = 8
_RUN = 'instance=~"$instance"'
_RATE = "[$__rate_interval]"

# Title, width of 24, unit of Grafana's, and queries with their legends.
_PANELS: Sequence[tuple[str, int, str, Sequence[tuple[str, str]]]] = (
    (
        "Frames per second",
        12,
        "short",
        [
            (f"rate(maskstream_frames_delivered_total{{{_RUN}}}{_RATE})", "delivered {{instance}}"),
            (f"rate(maskstream_frames_captured_total{{{_RUN}}}{_RATE})", "captured {{instance}}"),
        ],
    ),
    (
        "Capture to delivery",
        12,
        "s",
        [
            (
                f"histogram_quantile({share}, sum by (le, source) "
                f"(rate(maskstream_latency_seconds_bucket{{{_RUN}}}{_RATE})))",
                f"p{100 * share:.0f} source {{{{source}}}}",
            )
            for share in (0.5, 0.95, 0.99)
        ],
    ),
    (
        "Frames left out, by cause",
        12,
        "short",
        [(f"sum by (cause) (rate(maskstream_frames_dropped_total{{{_RUN}}}{_RATE}))", "{{cause}}")],
    ),
    (
        "Share of the time at work",
        12,
        "percentunit",
        [(f"maskstream_stage_busy_ratio{{{_RUN}}}", "{{stage}} {{source}}")],
    ),
    (
        "Work on a frame, p95",
        12,
        "s",
        [
            (
                f"histogram_quantile(0.95, sum by (le, stage, source) "
                f"(rate(maskstream_stage_work_seconds_bucket{{{_RUN}}}{_RATE})))",
                "{{stage}} {{source}}",
            )
        ],
    ),
    (
        "Wait before a stage, p95",
        12,
        "s",
        [
            (
                f"histogram_quantile(0.95, sum by (le, stage, source) "
                f"(rate(maskstream_stage_wait_seconds_bucket{{{_RUN}}}{_RATE})))",
                "{{stage}} {{source}}",
            )
        ],
    ),
    (
        "Frames ready for a stage",
        8,
        "short",
        [
            (f"maskstream_stage_queued_frames{{{_RUN}}}", "{{stage}} {{source}}"),
            (f"maskstream_frames_in_flight{{{_RUN}}}", "in flight"),
        ],
    ),
    (
        "Frames in a batch",
        8,
        "short",
        [(f"sum by (size) (rate(maskstream_batches_total{{{_RUN}}}{_RATE}))", "of {{size}}")],
    ),
    (
        "Time since the newest figures",
        8,
        "s",
        [(f"maskstream_figures_age_seconds{{{_RUN}}}", "{{instance}}")],
    ),
    (
        "Cores in use",
        12,
        "short",
        [(f"rate(maskstream_stage_cpu_seconds_total{{{_RUN}}}{_RATE})", "{{stage}} {{source}}")],
    ),
    (
        "Memory",
        12,
        "bytes",
        [
            (f"maskstream_stage_resident_bytes{{{_RUN}}}", "{{stage}} {{source}}"),
            (f"maskstream_pool_bytes{{{_RUN}}}", "frames"),
        ],
    ),
)


def make_dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    return {
        "title": "maskstream",
        "uid": "maskstream",
        "tags": ["maskstream"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "templating": {"list": [_datasource_variable(), _instance_variable()]},
        "panels": _laid_out(),
    }


def _laid_out() -> list[dict[str, Any]]:
    panels = []
    x = y = 0
    for number, (title, width, unit, queries) in enumerate(_PANELS, 1):
        if x + width > _COLUMNS:
            x, y = 0, y + _PANEL_HEIGHT
        position = {"x": x, "y": y, "w": width, "h": _PANEL_HEIGHT}
        panels.append(_panel(number, title, unit, queries, position))
        x += width
    return panels


def _panel(
    number: int,
    title: str,
    unit: str,
    queries: Sequence[tuple[str, str]],
    position: dict[str, int],
) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "gridPos": position,
        "datasource": _datasource(),
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expression, "legendFormat": legend}
            for place, (expression, legend) in enumerate(queries)
        ],
    }


def _datasource() -> dict[str, str]:
    return {"type": "prometheus", "uid": "${datasource}"}


def _datasource_variable() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }


def _instance_variable() -> dict[str, Any]:
    query = "label_values(maskstream_run_seconds, instance)"
    return {
        "name": "instance",
        "label": "Run",
        "type": "query",
        "datasource": _datasource(),
        "definition": query,
        "query": {"query": query, "refId": "instance"},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard_text() -> str:
    """Return the dashboard as the file has it."""
    return json.dumps(make_dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    DASHBOARD_PATH.write_text(dashboard_text(), encoding="utf-8")
