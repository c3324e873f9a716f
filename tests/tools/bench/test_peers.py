"""Ways of masking a video with one engine: all deliver the same frames, and are compared."""

import av
import pytest

from maskstream.tools.bench.peers import OURS, measure_peers, peers_table
from tests.helpers.clips import make_clip
from tests.helpers.engines.tiny import tiny_engine_file

pytest.importorskip("supervision", reason="supervision is not installed")


def frame_count(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_every_way_delivers_all_frames_and_is_compared_with_the_line(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", pts=range(12), size=(160, 120))
    rows = measure_peers(clip, str(tiny_engine_file()), frame_count=10, rounds=1, folder=tmp_path)
    assert [row.name for row in rows] == [
        OURS, "OpenCV loop, x264", "OpenCV loop, mp4v", "supervision process_video",
    ]  # fmt: skip
    assert rows[0].ratio == 1
    for row in rows:
        assert row.fps > 0
        assert row.cpu_ms > 0
        assert row.ratio == pytest.approx(rows[0].fps / row.fps)
    recordings = [path for path in tmp_path.glob("*.mp4") if path != clip]
    assert len(recordings) == 4
    assert [frame_count(path) for path in recordings] == [10] * 4
    assert peers_table(clip.name, rows).row_count == 4
