"""The whole line with a backend that takes the frames' planes from the buffer pool."""

import json

import pytest

from maskstream.stream.delivery import parse_deliveries
from maskstream.stream.options import RunOptions, RuntimeOptions
from maskstream.stream.supervision.supervisor import run_pipeline
from tests.engines.runtimes.tensorrt.late_engine import OPENER

FRAMES = 5


def seen(clip, path, **others):
    """Returns what each of the first frames shows: class, score and box of each instance."""
    options = RunOptions(
        sources=(str(clip),), engine="person-light", batch=3, max_frames=FRAMES,
        deliveries=parse_deliveries(results=[str(path)]), **others,
    )  # fmt: skip
    result = run_pipeline(options, on_event=lambda _: None, on_tick=lambda _: None)
    assert result.exit_code == 0, result.message
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return result, [line["instances"] for line in lines if "instances" in line]


def test_the_line_sees_the_same_when_the_device_scales(clips_dir, tmp_path):
    clip = clips_dir / "vtest.avi"
    _, ours = seen(clip, tmp_path / "ours.ndjson", replaced={"engine": OPENER})
    _, theirs = seen(
        clip, tmp_path / "theirs.ndjson", runtime=RuntimeOptions(backend="onnxruntime")
    )
    assert len(ours) == len(theirs) == FRAMES
    for first, second in zip(ours, theirs, strict=True):
        sure = [row for row in second if row["score"] > 0.4]
        assert len(first) >= len(sure) > 0
        for a, b in zip(first, sure, strict=False):
            assert a["score"] == pytest.approx(b["score"], abs=0.05)
