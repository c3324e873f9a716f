"""The dashboard asks for nothing that `/metrics` does not answer."""

import json
import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from maskstream.stream.telemetry.metrics import render_metrics
from maskstream.stream.telemetry.snapshot import Durations
from maskstream.stream.telemetry.status import build_status
from maskstream.tools.dev.grafana import DASHBOARD_PATH, dashboard_text
from tests.helpers.snapshots import make_snapshot


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(DASHBOARD_PATH.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def labels_by_metric():
    """Labels of each sample that a run shows."""
    durations = Durations(counts=(1,) * 44, sum_s=1.0)
    figures = make_snapshot()
    stages = tuple(
        replace(stage, wait=durations, work=durations, total=durations) for stage in figures.stages
    )
    text = render_metrics(build_status(replace(figures, stages=stages)), age_s=0.0).decode()
    return {
        # Prometheus adds the instance itself.
        sample.name: {*sample.labels, "instance"}
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def queries_of(dashboard):
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_the_file_is_what_its_program_makes():
    assert DASHBOARD_PATH.read_text(encoding="utf-8") == dashboard_text()


def test_every_query_names_metrics_and_labels_that_exist(dashboard, labels_by_metric):
    queries = queries_of(dashboard)
    assert len(queries) >= 15
    for query in queries:
        (name,) = re.findall(r"\bmaskstream_\w+", query)
        assert name in labels_by_metric, query
        asked = {
            label.strip()
            for group in re.findall(r"\bby \(([^)]*)\)", query)
            for label in group.split(",")
        } | set(re.findall(r"(\w+)=~?\"", query))
        assert asked <= labels_by_metric[name], query


def test_a_query_of_a_counter_or_histogram_takes_its_rate(dashboard):
    for query in queries_of(dashboard):
        is_growing = re.search(r"maskstream_\w+_(total|bucket)\b", query) is not None
        assert is_growing == ("rate(" in query), query
        assert query.count("(") == query.count(")")


def test_each_legend_uses_labels_that_the_query_leaves(dashboard, labels_by_metric):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            (name,) = re.findall(r"\bmaskstream_\w+", target["expr"])
            left = labels_by_metric[name]
            for group in re.findall(r"\bby \(([^)]*)\)", target["expr"]):
                left = {label.strip() for label in group.split(",")} - {"le"}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= left, target


def test_variables_ask_for_what_exists(dashboard, labels_by_metric):
    (query,) = (
        variable["definition"]
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    )
    ((name, label),) = re.findall(r"^label_values\((\w+), (\w+)\)$", query)
    assert label in labels_by_metric[name]


def test_panels_do_not_overlap(dashboard):
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells
