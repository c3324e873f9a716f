"""Recordings of sources whose times leap: the sound stays with its pictures, gaps fit the file."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from maskstream.errors import ConfigError
from maskstream.stream.codecs.encoding import EncoderSettings
from maskstream.stream.recording.gaps import longest_gap
from maskstream.stream.recording.writer import VideoWriter
from maskstream.stream.sources.video_file import VideoFile
from tests.helpers.clips import canvas, frame_times, make_clip
from tests.helpers.decoded import sound_times


def recorded(path, clip):
    source = VideoFile(str(clip), threads=1)
    settings = EncoderSettings.of(source.info)
    writer = VideoWriter(path, settings, audio_from=str(clip))
    planes = canvas(source.info.width, source.info.height)
    for frame in source.frames():
        frame.write_into(planes)
        writer.write(planes, frame.pts, duration=frame.duration)
    source.close()
    return writer.close()


def part(path, start):
    """Two seconds of pictures and sound that begin at ``start`` seconds."""
    return make_clip(
        path, pts=range(start * 25, start * 25 + 50), options={"qp": "20"}, sound="mp2"
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("count", [2, 3])
def test_sound_of_joined_recordings_stays_with_its_pictures(tmp_path, suffix, count):
    one = part(tmp_path / "1.ts", 0)
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() * count)
    recorded(tmp_path / f"out{suffix}", both)
    (before,) = sound_times(one)
    (after,) = sound_times(tmp_path / f"out{suffix}")
    assert abs(len(after) - count * len(before)) <= 2 * count
    pictures = frame_times(tmp_path / f"out{suffix}")
    assert len(pictures) == 50 * count
    # Every recording is two seconds long, and its sound begins with its first picture.
    for number in range(1, count):
        begins = min(after, key=lambda time: abs(time - 2 * number))
        assert abs(begins - pictures[50 * number]) <= Fraction(40, 1000)
    assert max(b - a for a, b in pairwise(after)) < Fraction(80, 1000)


@pytest.mark.parametrize("hours", [7, 30, 24 * 14])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_camera_that_was_away_for_hours_goes_on_in_the_same_file(tmp_path, suffix, hours):
    path = tmp_path / f"out{suffix}"
    away = hours * 3600 * 90_000
    times = [*range(0, 36_000, 3600), *range(away, away + 36_000, 3600)]
    settings = EncoderSettings(
        width=64, height=48, time_base=Fraction(1, 90_000), frame_rate=25.0,
        color_range=0, color_matrix=6,
    )  # fmt: skip
    writer = VideoWriter(path, settings)
    planes = canvas(64, 48)
    for number, time in enumerate(times):
        planes.y[:] = np.uint8(number)
        writer.write(planes, time)
    summary = writer.close()
    found = frame_times(path)
    assert len(found) == 20
    if suffix == ".mkv":
        assert float(found[10]) == pytest.approx(hours * 3600, abs=0.01)
        assert summary.warnings == ()
    else:
        assert float(found[-1]) == pytest.approx(19 / 25, abs=0.001)
        assert "a gap of" in summary.warnings[0]
        assert "is closed up" in summary.warnings[0]


def test_the_longest_gap_of_an_mp4_is_that_of_its_time_scale():
    assert longest_gap(Fraction(1, 90_000)) == 2**31 - 1  # 6.6 h
    assert longest_gap(Fraction(1, 25)) == (2**31 - 1) * 25 // 48_000  # the sound's


@pytest.mark.parametrize("size", [(17_000, 64), (48, 16_386), (20_000, 20_000)])
def test_pictures_that_h264_cannot_hold_are_refused_before_anything_starts(size):
    with pytest.raises(ConfigError, match=r"H\.264 takes 16384 pixels a side at most"):
        EncoderSettings(
            width=size[0], height=size[1], time_base=Fraction(1, 25), frame_rate=25.0,
            color_range=0, color_matrix=6,
        )  # fmt: skip
