"""`maskstream bench --only wanted`: an engine with everything computed, and with what is wanted."""

from io import StringIO

from rich.console import Console

from maskstream.engines import open_engine
from maskstream.tools.bench.wanted import WantedFigures, measure_wanted, wanted_table
from maskstream.tools.measuring.clips import make_clip
from tests.helpers.engines.tiny import tiny_engine_file


def test_an_engine_is_timed_both_ways_on_a_clip_s_frames_and_on_empty_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clip = make_clip(tmp_path / "clip.mp4", width=160, height=120, frame_count=8)
    with open_engine(str(tiny_engine_file()), threads=1, batch=2) as engine:
        infer, asked = engine.infer, []

        def noted(frames, wanted):
            asked.append((frames, wanted))
            return infer(frames, wanted)

        monkeypatch.setattr(engine, "infer", noted)
        figures = measure_wanted(engine, clip, repeats=1)
    assert (figures.clip, figures.backend) == ("clip.mp4", "openvino")
    assert figures.all_ms.keys() == figures.wanted_ms.keys() == {"the clip's", "empty"}
    assert min(*figures.all_ms.values(), *figures.wanted_ms.values()) > 0
    # A turn that is not counted, and one that is; each way of the two with each kind of frames.
    assert [wanted.score_min for _, wanted in asked] == [0.0, engine.manifest.score_min] * 4
    assert [bool((frames == 114).all()) for frames, _ in asked] == [False, False, True, True] * 2


def test_the_table_says_what_is_saved():
    figures = WantedFigures(
        engine="x", backend="openvino", precision="fp32", clip="c.mp4",
        all_ms={"the clip's": 8.0, "empty": 8.0}, wanted_ms={"the clip's": 9.0, "empty": 5.0},
    )  # fmt: skip
    out = StringIO()
    Console(width=120, file=out).print(wanted_table(figures))
    assert "-12 %" in out.getvalue()  # 9 of 8: an eighth more
    assert "38 %" in out.getvalue()  # 5 of 8: three eighths less
