"""Every real and awkward clip through the whole command: what comes out, seen by PyAV alone."""

from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from tests.helpers.decoded import decoded
from tests.helpers.engines.tiny import tiny_engine_file

TIME_TOLERANCE_S = 0.0015  # mkv counts in milliseconds


@dataclass(frozen=True)
class Facts:
    """What PyAV finds in a file."""

    times_s: list[float]
    """Of the frames that can be decoded, as the file says them."""
    size: tuple[int, int]
    """Of the last frame: width, height."""
    audio_packets: int


def facts_of(path: Path, stream: int = 0) -> Facts:
    """Decode a file, past what is damaged."""
    times_s, size, audio_packets = [], (0, 0), 0
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[stream]):
            for frame in decoded(packet):
                times_s.append(-1.0 if frame.time is None else frame.time)
                size = (frame.width, frame.height)
    with av.open(str(path)) as container:
        if container.streams.audio:
            packets = container.demux(container.streams.audio[0])
            audio_packets = sum(1 for packet in packets if packet.size)
    return Facts(times_s, size, audio_packets)


ALSO_SLOW = (
    "05_default_juggle.mp4", "cockatoo.mp4", "one-by-one-person-detection.mp4", "vtest.avi",
    "car-detection.mp4", "testsrc-hevc.mp4", "testsrc.mkv", "unordered.mov", "video_0.mov",
    "video_180.mov", "video_270.mov",
)  # fmt: skip
"""Long ones, and those that have a like here; all are read by quicker tests."""
# Clip -> size of the upright picture with square pixels, by hand; None: as decoded.
CLIPS = {
    "05_default_juggle.mp4": None,
    "SAR-2by3.mp4": (426, 360),  # 640 * 2/3 = 426.67, even
    "brother.mkv": None,
    "car-detection.mp4": None,
    "cockatoo.mp4": None,
    "h264-mjpeg.mp4": None,
    "no_duration.webm": None,
    "one-by-one-person-detection.mp4": None,
    "test_non_zero_start.mp4": None,
    "test_yuv422p.mp4": None,
    "testsrc-hevc.mp4": None,
    "testsrc.mkv": None,
    "tiny_av1.mp4": None,
    "unordered.mov": None,
    "video_0.mov": None,
    "video_180.mov": None,
    "video_270.mov": (320, 568),
    "video_90.mov": (320, 568),
    "video_with_failing_audio.mp4": None,
    "vtest.avi": None,
    "webvtt.mkv": None,
}


def run_clip(maskstream, clip: Path, tmp_path: Path):
    """Run the command on a clip; returns how it ended and the output's path."""
    output = tmp_path / "out.mp4"
    done = maskstream("run", clip, "--engine", tiny_engine_file(), "-o", output)
    assert "Traceback" not in done.stderr
    return done, output


@pytest.mark.system
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in ALSO_SLOW else ()) for name in CLIPS],
)
def test_every_frame_comes_out_at_its_time_upright_and_with_its_sound(
    maskstream, clips_dir, tmp_path, name
):
    before = facts_of(clips_dir / name)
    done, output = run_clip(maskstream, clips_dir / name, tmp_path)
    assert done.returncode == 0, done.stderr
    after = facts_of(output)
    count = len(before.times_s)
    assert done.stdout.startswith(f"{count} of {count} frames delivered")
    assert len(after.times_s) == count
    assert after.size == (CLIPS[name] or before.size)
    assert all(a < b for a, b in zip(after.times_s, after.times_s[1:], strict=False))
    # A file that starts late starts at 0; one that starts after its sound keeps that distance.
    shift_s = before.times_s[0] - after.times_s[0]
    shifted = [time_s - shift_s for time_s in before.times_s]
    assert after.times_s == pytest.approx(shifted, abs=TIME_TOLERANCE_S)
    assert after.audio_packets == before.audio_packets


@pytest.mark.system
def test_of_several_videos_in_a_file_the_largest_is_taken_whole(maskstream, clips_dir, tmp_path):
    before = facts_of(clips_dir / "nasa_13013.mp4", stream=1)
    done, output = run_clip(maskstream, clips_dir / "nasa_13013.mp4", tmp_path)
    assert done.returncode == 0, done.stderr
    after = facts_of(output)
    assert after.size == before.size == (480, 270)
    assert after.times_s == pytest.approx(before.times_s, abs=TIME_TOLERANCE_S)


@pytest.mark.system
def test_frames_without_times_of_their_own_are_timed_by_the_rate(maskstream, clips_dir, tmp_path):
    # The file's times are the packets', in decoding order; its header says 25 frames a second.
    count = len(facts_of(clips_dir / "video02.avi").times_s)
    done, output = run_clip(maskstream, clips_dir / "video02.avi", tmp_path)
    assert done.returncode == 0, done.stderr
    after = facts_of(output).times_s
    assert after == pytest.approx([after[0] + i / 25 for i in range(count)], abs=TIME_TOLERANCE_S)


@pytest.mark.system
def test_a_size_change_in_mid_stream_keeps_every_frame_and_one_size(
    maskstream, clips_dir, tmp_path
):
    clip = clips_dir / "test_res_change.h264"
    with av.open(str(clip)) as container:
        first = next(container.decode(video=0))
        size = (first.width, first.height)
    done, output = run_clip(maskstream, clip, tmp_path)
    assert done.returncode == 0, done.stderr
    after = facts_of(output)
    assert (len(after.times_s), after.size) == (len(facts_of(clip).times_s), size)


@pytest.mark.system
@pytest.mark.parametrize(
    ("name", "good", "lost"), [("corrupted.mp4", 49, 1), ("no_timescale.mp4", 170, 12)]
)
def test_a_damaged_clip_delivers_all_but_its_damaged_frames_and_says_so(
    maskstream, clips_dir, tmp_path, name, good, lost
):
    done, output = run_clip(maskstream, clips_dir / name, tmp_path)
    assert done.returncode == 0
    assert f"{name}: {lost} damaged frame" in done.stderr
    assert done.stdout.startswith(f"{good} of {good + lost} frames delivered")
    assert len(facts_of(output).times_s) == len(facts_of(clips_dir / name).times_s) == good


@pytest.mark.system
@pytest.mark.parametrize("name", ["chunk_out_of_range.mp4", "zero_empty_stsc.mp4"])
def test_a_broken_clip_is_one_line_that_names_it_and_leaves_nothing(
    maskstream, clips_dir, tmp_path, name
):
    done, _ = run_clip(maskstream, clips_dir / name, tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"maskstream: {clips_dir / name}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.system
def test_every_clip_is_tested(clips_dir):
    others = {
        "nasa_13013.mp4", "video02.avi", "test_res_change.h264", "corrupted.mp4",
        "no_timescale.mp4", "chunk_out_of_range.mp4", "zero_empty_stsc.mp4",
    }  # fmt: skip
    assert {path.name for path in clips_dir.iterdir()} == set(CLIPS) | others
