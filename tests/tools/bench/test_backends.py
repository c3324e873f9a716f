"""`maskstream bench --only backends`: each backend in a process of its own, in turns."""

from io import StringIO

import pytest
from rich.console import Console

from maskstream.tools.bench.backends import WayFigures, backends_table, measure_backends
from tests.helpers.engines.tiny import tiny_engine_file


@pytest.mark.slow
def test_each_way_is_timed_beside_openvino(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rows = measure_backends(str(tiny_engine_file()), rounds=2, batches=(2,))
    assert [row.name for row in rows] == ["openvino", "openvino, fp32", "onnxruntime"]
    assert rows[0].ratios == (1.0, 1.0)
    assert [row.precision for row in rows[1:]] == ["fp32", "fp32"]
    for row in rows:
        assert row.wall_ms > 0
        assert row.cpu_ms > 0
        assert len(row.ratios) == 2


def test_the_table_has_each_round_and_their_median():
    rows = [
        WayFigures("openvino", "bf16", 8, 2.0, 3.9, (1.0, 1.0, 1.0)),
        WayFigures("torch", "fp32", 8, 9.0, 17.5, (4.0, 4.5, 9.0)),
    ]
    out = StringIO()
    console = Console(width=120, file=out)
    console.print(backends_table(rows))
    shown = out.getvalue()
    assert "4.50 x" in shown
    assert "4.00, 4.50, 9.00" in shown
