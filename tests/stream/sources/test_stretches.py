"""Files whose times begin again, leap or fall back in the middle."""

import re
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import pytest

from maskstream.stream.sources.stretches import Stretches
from maskstream.stream.sources.video_file import VideoFile
from tests.helpers.clips import make_clip


def part(path, *, start=0, count=20, sound=None):
    """Write a broadcast of ``count`` frames, 1/25 s apart, that begins at ``start`` frames."""
    return make_clip(
        path,
        pts=range(start, start + count),
        options={"qp": "20", "bf": "2", "x264-params": "keyint=10"},
        sound=sound,
        sound_start_s=start / 25,
    )


def joined(path, *parts):
    path.write_bytes(b"".join(one.read_bytes() for one in parts))
    return path


def times_s(path, threads=2):
    source = VideoFile(str(path), threads=threads)
    times = [frame.pts * frame.time_base for frame in source.frames()]
    source.close()
    return source, times


@pytest.mark.parametrize("suffix", [".ts", ".vob", ".mpg"])
@pytest.mark.parametrize("threads", [1, 3])
def test_recordings_joined_byte_by_byte_follow_one_another(tmp_path, suffix, threads):
    codec: dict[str, Any] = {} if suffix == ".ts" else {"codec": "mpeg2video", "options": {}}
    one = make_clip(tmp_path / f"1{suffix}", pts=range(40), **codec)
    source, times = times_s(joined(tmp_path / f"both{suffix}", one, one), threads)
    assert len(times) == 80
    steps = [after - before for before, after in pairwise(times)]
    assert all(abs(step - Fraction(1, 25)) < Fraction(1, 1000) for step in steps)
    assert "its times go back by 1.6 s; closed up" in source.warnings[0]


@pytest.mark.parametrize(
    "leap_s", [pytest.param(36_000, id="ten-hours"), pytest.param(60, id="a-minute")]
)
def test_a_leap_is_closed_up_and_told(tmp_path, leap_s):
    first = part(tmp_path / "1.ts")
    second = part(tmp_path / "2.ts", start=25 * leap_s + 20)
    source, times = times_s(joined(tmp_path / "both.ts", first, second))
    assert len(times) == 40
    assert float(times[-1]) == pytest.approx(39 / 25, abs=0.001)
    told = re.search(r"leap forward by ([0-9.]+) s; closed up", source.warnings[0])
    assert told is not None
    assert float(told[1]) == pytest.approx(leap_s, abs=0.15)  # frames are put in order


def test_a_fall_back_before_the_first_time_is_closed_up(tmp_path):
    first = part(tmp_path / "1.ts", start=25 * 500)
    second = part(tmp_path / "2.ts", start=0)
    _, times = times_s(joined(tmp_path / "both.ts", first, second))
    assert len(times) == 40
    assert float(times[-1]) == pytest.approx(39 / 25, abs=0.001)


def test_a_long_gap_that_a_file_states_is_kept(tmp_path):
    clip = make_clip(tmp_path / "gap.mkv", pts=[0, 1, 2, 25 * 3600, 25 * 3600 + 1])
    source, times = times_s(clip)
    assert float(times[3]) == pytest.approx(3600, abs=0.01)
    assert source.warnings == ()


def test_one_wrong_time_does_not_move_what_follows(tmp_path):
    with av.open(str(part(tmp_path / "1.ts"))) as container:
        stretches = Stretches(container, Fraction(1, 25))
        own_s = [Fraction(number, 25) + (3600 if number == 5 else 0) for number in range(10)]
        moved = [time_s + stretches.see(time_s) for time_s in own_s]
    times = [float(time_s) for time_s in moved]
    assert times == pytest.approx([number / 25 for number in range(10)])
