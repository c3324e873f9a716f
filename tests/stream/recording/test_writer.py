"""Recordings, read back by PyAV alone: times, pictures, colours, sound, kills, full disks."""

import itertools
import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from maskstream.engines.files.disk import partial_path
from maskstream.errors import ConfigError, OutputError
from maskstream.stream.codecs.encoding import EncoderSettings, FrameWrapper
from maskstream.stream.errors import StageError
from maskstream.stream.options import CodecOptions
from maskstream.stream.recording.writer import VideoWriter
from maskstream.stream.sources.open import open_source
from maskstream.stream.sources.synthetic import SyntheticSource, read_stamp
from tests.helpers.clips import (
    canvas,
    flat,
    frame_times,
    gradient,
    make_clip,
    planes_from,
)
from tests.helpers.decoded import sound_times
from tests.helpers.killed import end_recorder, record_and_kill, start_recorder, wait_for_frames
from tests.helpers.writers import small_settings, write_noise

SUFFIXES = [".mp4", ".mkv"]
CLIPS = [
    "SAR-2by3.mp4",
    "brother.mkv",
    "corrupted.mp4",
    "h264-mjpeg.mp4",
    "nasa_13013.mp4",
    "no_duration.webm",
    "no_timescale.mp4",
    "test_non_zero_start.mp4",
    "test_res_change.h264",
    "test_yuv422p.mp4",
    "testsrc-hevc.mp4",
    "testsrc.mkv",
    "tiny_av1.mp4",
    "unordered.mov",
    "video02.avi",
    "video_90.mov",
    "video_with_failing_audio.mp4",
    "vtest.avi",
    "webvtt.mkv",
]
AS_LONG = ("brother.mkv", "vtest.avi", "test_yuv422p.mp4", "tiny_av1.mp4")
"""Files that say how long they last."""


def writer_for(
    path: Path, *, audio_from: str | None = None, starts_at_zero: bool = False, **changes: Any
) -> VideoWriter:
    settings = small_settings(**changes)
    return VideoWriter(path, settings, audio_from=audio_from, starts_at_zero=starts_at_zero)


def write_frames(writer: VideoWriter, pts: Any, size: tuple[int, int] = (64, 48)) -> None:
    for number, time in enumerate(pts):
        writer.write(planes_from(gradient(number, *size), *size), time)


def record(source_path: Path, path: Path) -> tuple[list[Fraction], Any, Any]:
    """Copy a source through the writer: its times in seconds, its info, the summary."""
    times, info, (summary,) = record_all(source_path, [path])
    return times, info, summary


def record_all(source_path: Path, paths: list[Path]) -> tuple[list[Fraction], Any, list[Any]]:
    """Copy a source to several files at once; as `record`, with a summary of each."""
    source = open_source(str(source_path), threads=2)
    info = source.info
    settings = EncoderSettings.of(info, preset="ultrafast", threads=2)
    sound = info.uri if info.has_audio else None
    writers = [VideoWriter(path, settings, audio_from=sound) for path in paths]
    planes = canvas(info.width, info.height)
    times = []
    for frame in source.frames():
        frame.write_into(planes)
        for writer in writers:
            writer.write(planes, frame.pts, duration=frame.duration)
        times.append(frame.pts * frame.time_base)
    summaries = [writer.close(complete=source.error is None) for writer in writers]
    source.close()
    return times, info, summaries


def check_recording(path: Path, clip: Path, times: list[Fraction], info: Any, summary: Any) -> None:
    """A recording has its clip's times, sound and colours."""
    # Matroska counts in milliseconds.
    tolerance = 0 if path.suffix == ".mp4" else Fraction(1, 2000)
    found = frame_times(path)
    assert len(found) == len(times) == summary.frames
    assert all(abs(a - b) <= tolerance for a, b in zip(found, times, strict=True))
    assert all(before < after for before, after in itertools.pairwise(found))
    sound = [
        [time - info.start_s for time in stream if path.suffix == ".mp4" or time >= info.start_s]
        for stream in sound_times(clip)
    ]
    copied = sound_times(path)
    assert [len(stream) for stream in copied] == [len(stream) for stream in sound]
    for before, after in zip(sound, copied, strict=True):
        assert all(abs(a - b) <= Fraction(1, 900) for a, b in zip(before, after, strict=True))
    assert summary.audio_packets == sum(len(stream) for stream in sound)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        assert (frame.width, frame.height) == (info.width, info.height)
        assert (frame.color_range, frame.colorspace) == (info.color_range + 1, info.color_matrix)
        assert (frame.rotation, stream.sample_aspect_ratio) in ((0, None), (0, 1))
    assert not partial_path(path).exists()


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_is_recorded_with_its_times_sound_and_colours(clips_dir, tmp_path, name, capfd):
    paths = [tmp_path / f"out{suffix}" for suffix in SUFFIXES]
    times, info, summaries = record_all(clips_dir / name, paths)
    for path, summary in zip(paths, summaries, strict=True):
        check_recording(path, clips_dir / name, times, info, summary)
    assert capfd.readouterr() == ("", "")
    if name in AS_LONG:
        check_length(paths[0], info, summaries[0])


def check_length(path: Path, info: Any, summary: Any) -> None:
    """A recording in MP4 lasts as long as its source."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(info.duration_s, abs=2e-3)
    assert summary.duration_s == pytest.approx(info.duration_s, abs=2e-3)
    assert summary.bytes == path.stat().st_size


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed.")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_ffprobe_finds_what_was_meant(tmp_path, suffix):
    clip = make_clip(tmp_path / "in.mp4", pts=range(60), sound="aac")
    path = tmp_path / f"out{suffix}"
    record(clip, path)
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-show_frames", "-of", "json", str(path)],
        capture_output=True,
        check=True,
    )
    told = json.loads(done.stdout)
    video, sound = told["streams"]
    assert (video["codec_name"], sound["codec_name"]) == ("h264", "aac")
    assert video["color_range"] == "tv"
    assert video["color_space"] == "smpte170m"
    keys = [
        float(frame["pts_time"])
        for frame in told["frames"]
        if frame["media_type"] == "video" and frame["key_frame"]
    ]
    assert keys == pytest.approx([0.0, 2.0])
    assert done.stderr == b""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "pts",
    [
        pytest.param([0, 40, 41, 500, 900, 3000], id="variable-rate"),
        pytest.param([23, 63, 103], id="starts-late"),
        pytest.param([0], id="one-frame"),
    ],
)
def test_pts_come_out_as_they_went_in(tmp_path, suffix, pts):
    path = tmp_path / f"out{suffix}"
    # The slower preset reorders frames, which is what shifts timestamps where it may.
    writer = writer_for(path, time_base=Fraction(1, 1000), preset="veryfast")
    write_frames(writer, pts)
    writer.close()
    assert frame_times(path) == [Fraction(time, 1000) for time in pts]


@pytest.mark.parametrize("time_base", ["1/10", "1001/30000", "1/1200000", "1/90000", "3/7"])
def test_any_time_base_is_exact_in_mp4(tmp_path, time_base):
    unit = Fraction(time_base)
    step = max(1, round(Fraction(1, 25) / unit))
    writer = writer_for(tmp_path / "out.mp4", time_base=unit)
    write_frames(writer, range(0, 20 * step, step))
    writer.close()
    expected = [number * step * unit for number in range(20)]
    assert frame_times(tmp_path / "out.mp4") == expected


def test_the_last_frame_lasts_as_it_is_told_to(tmp_path):
    writer = writer_for(tmp_path / "out.mp4")
    planes = planes_from(gradient(0, 64, 48), 64, 48)
    writer.write(planes, 0)
    writer.write(planes, 10, duration=30)
    assert writer.close().duration_s == pytest.approx(40 / 25)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.duration == 1_600_000


@pytest.mark.parametrize(
    "size", [(64, 48), (64, 50), (66, 36), (480, 270), (2, 2), (320, 568), (568, 322)]
)
def test_pictures_come_out_as_they_went_in(tmp_path, size):
    writer = writer_for(tmp_path / "out.mp4", width=size[0], height=size[1], crf=0)
    write_frames(writer, range(3), size)
    writer.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        for number, frame in enumerate(container.decode(video=0)):
            assert (frame.width, frame.height) == size
            stored = [
                np.frombuffer(memoryview(p), np.uint8).reshape(p.height, -1)[:, : p.width]
                for p in frame.planes
            ]
            joint = np.concatenate([plane.ravel() for plane in stored])
            np.testing.assert_array_equal(joint, gradient(number, *size))


def test_planes_that_lie_apart_are_recorded_too(tmp_path):
    writer = writer_for(tmp_path / "out.mp4", crf=0)
    planes = planes_from(gradient(0, 64, 48), 64, 48)
    apart = type(planes)(planes.y.copy(), planes.u.copy(), np.asfortranarray(planes.v))
    writer.write(apart, 0)
    writer.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        np.testing.assert_array_equal(frame.to_ndarray().ravel(), gradient(0, 64, 48))


@pytest.mark.parametrize("height", [48, 50])
def test_a_slot_may_be_written_again_as_soon_as_it_was_given(tmp_path, height):
    writer = writer_for(tmp_path / "out.mp4", height=height, crf=0, preset="veryfast", threads=2)
    planes = canvas(64, height)
    for number in range(60):
        for plane, expected in zip(
            planes, planes_from(gradient(number, 64, height), 64, height), strict=True
        ):
            plane[...] = expected
        writer.write(planes, number)
        for plane in planes:
            plane[...] = 255
    writer.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        for number, frame in enumerate(container.decode(video=0)):
            luma = np.frombuffer(memoryview(frame.planes[0]), np.uint8)
            luma = luma.reshape(height, -1)[:, :64]
            expected = gradient(number, 64, height)[: 64 * height].reshape(height, 64)
            np.testing.assert_array_equal(luma, expected)


def test_a_slot_s_planes_go_to_the_encoder_without_a_copy():
    planes = canvas(64, 48)
    frame = FrameWrapper().wrap(planes)
    planes.v[...] = 201  # seen through the frame: it is the same memory
    assert set(bytes(memoryview(frame.planes[2]))) == {201}
    assert [plane.buffer_ptr for plane in frame.planes] == [plane.ctypes.data for plane in planes]


@pytest.mark.parametrize("color_matrix", [1, 5, 6])
@pytest.mark.parametrize("color_range", [0, 1])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_range_and_matrix_are_written(tmp_path, suffix, color_range, color_matrix):
    path = tmp_path / f"out{suffix}"
    writer = writer_for(path, color_range=color_range, color_matrix=color_matrix)
    writer.write(planes_from(flat(90, 100, 150)(0, 64, 48), 64, 48), 0)
    writer.close()
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.color_range, frame.colorspace) == (color_range + 1, color_matrix)
        assert abs(int(frame.to_ndarray()[0, 0]) - 90) <= 1  # tagged, not converted


def test_every_synthetic_frame_arrives_once_in_order_and_with_its_own_picture(tmp_path):
    source = SyntheticSource("synthetic:numbered?size=320x240&frames=90")
    planes = canvas(320, 240)
    writer = writer_for(
        tmp_path / "out.mp4", width=320, height=240, time_base=source.info.time_base, crf=28
    )
    for frame in source.frames():
        frame.write_into(planes)
        writer.write(planes, frame.pts)
    writer.close()
    with av.open(str(tmp_path / "out.mp4")) as container:
        numbers = [
            read_stamp(np.asarray(frame.to_ndarray()[:240], np.uint8)).frame_number
            for frame in container.decode(video=0)
        ]
    assert numbers == list(range(90))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("sound", ["aac", "flac", "libmp3lame", "libopus"])
def test_sound_is_copied_packet_by_packet(tmp_path, sound, suffix):
    clip = make_clip(tmp_path / "in.mkv", pts=range(50), sound=sound)
    record(clip, tmp_path / f"out{suffix}")
    first = [
        [bytes(packet) for packet in container.demux(audio=0) if (packet.pts or -1) > 0]
        for path in (clip, tmp_path / f"out{suffix}")
        for container in [av.open(str(path))]
    ]
    assert len(first[0]) > 15
    assert first[0] == first[1]


def test_sound_of_a_broadcast_stream_fits_an_mp4(tmp_path):
    clip = make_clip(tmp_path / "in.ts", pts=range(50), sound="aac")
    _, _, summary = record(clip, tmp_path / "out.mp4")
    before, after = sound_times(clip)[0], sound_times(tmp_path / "out.mp4")[0]
    pictures_before, pictures = frame_times(clip), frame_times(tmp_path / "out.mp4")
    assert len(after) == len(before)
    gap = (before[0] - pictures_before[0]) - (after[0] - pictures[0])
    assert abs(gap) < Fraction(1, 1000)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 80_000
    assert summary.warnings == ()


def test_sound_that_the_container_cannot_hold_is_left_out_and_told(tmp_path):
    clip = make_clip(tmp_path / "in.avi", pts=range(10), codec="mpeg4", sound="adpcm_ms")
    times, _, summary = record(clip, tmp_path / "out.mp4")
    assert frame_times(tmp_path / "out.mp4") == times
    assert sound_times(tmp_path / "out.mp4") == []
    assert len(summary.warnings) == 1
    assert summary.warnings[0].startswith(f"{clip}: sound stream 1 (adpcm_ms) does not fit")


def test_sound_that_begins_too_late_for_an_mp4_is_left_out_and_told(tmp_path):
    # An mp4's header describes AC-3 by its first packet, and is written with the first second.
    clip = make_clip(tmp_path / "in.mkv", pts=range(100), sound="ac3", sound_start_s=1.5)
    _, _, summary = record(clip, tmp_path / "out.mp4")
    assert len(frame_times(tmp_path / "out.mp4")) == 100
    assert len(summary.warnings) == 1
    assert "(ac3) does not fit the recording (it begins too late" in summary.warnings[0]
    record(clip, tmp_path / "out.mkv")
    assert sound_times(tmp_path / "out.mkv")[0][0] == sound_times(clip)[0][0]


@pytest.mark.parametrize("sound", ["ac3", "aac", "flac"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sound_whose_packets_are_garbage_does_not_harm_the_pictures(tmp_path, suffix, sound):
    clip = make_clip(tmp_path / "in.mkv", pts=range(100), sound=sound)
    broken = tmp_path / "broken.mkv"
    with av.open(str(clip)) as source, av.open(str(broken), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.size:
                kept = packet if packet.stream.type == "video" else av.Packet(bytes(packet.size))
                kept.pts, kept.dts, kept.time_base = packet.pts, packet.dts, packet.time_base
                kept.is_keyframe, kept.stream = packet.is_keyframe, streams[packet.stream.index]
                target.mux(kept)
    times, _, _ = record(broken, tmp_path / f"out{suffix}")
    assert frame_times(tmp_path / f"out{suffix}") == times


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sound_that_is_cut_off_does_not_harm_the_pictures(tmp_path, suffix):
    clip = make_clip(tmp_path / "in.ts", pts=range(100), sound="aac")
    content = bytearray(clip.read_bytes())
    rng = np.random.default_rng(3)
    for start in range(188 * 40, len(content) - 188, 188):
        pid = (content[start + 1] & 0x1F) << 8 | content[start + 2]
        if pid == 0x101:  # the second stream of FFmpeg's muxer: the sound
            content[start + 8 : start + 188] = rng.integers(0, 255, 180).astype(np.uint8).tobytes()
    clip.write_bytes(content)
    times, _, _ = record(clip, tmp_path / f"out{suffix}")
    assert len(frame_times(tmp_path / f"out{suffix}")) == len(times) == 100


def test_a_source_of_sound_that_has_vanished_is_told(tmp_path):
    clip = make_clip(tmp_path / "in.mp4", sound="aac")
    clip.unlink()
    writer = writer_for(tmp_path / "out.mp4", audio_from=str(clip))
    write_frames(writer, range(5))
    assert writer.close().warnings == writer.warnings
    assert "no such file" in writer.warnings[0]


def test_sound_ends_with_the_pictures_where_the_run_was_cut_short(tmp_path):
    clip = make_clip(tmp_path / "in.mp4", pts=range(100), sound="aac")
    ends = {}
    for complete in (True, False):
        path = tmp_path / f"{complete}.mp4"
        writer = writer_for(path, audio_from=str(clip))
        write_frames(writer, range(50))
        writer.close(complete=complete)
        ends[complete] = float(sound_times(path)[0][-1])
    assert ends[True] == pytest.approx(float(sound_times(clip)[0][-1]), abs=1e-3)
    assert 1.9 < ends[False] < 2.0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_final_name_appears_only_when_the_file_is_complete(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"an older recording")
    writer = writer_for(path)
    write_frames(writer, range(30))
    assert path.read_bytes() == b"an older recording"
    assert [p.name for p in tmp_path.iterdir() if p != path] == [f"out.partial{suffix}"]
    summary = writer.close()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert summary.path == path
    assert len(frame_times(path)) == 30


def test_a_closed_mp4_is_a_plain_seekable_one(tmp_path):
    writer = writer_for(tmp_path / "out.mp4")
    write_frames(writer, range(200))
    writer.close()
    data = (tmp_path / "out.mp4").read_bytes()
    boxes, start = [], 0
    while start < len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        boxes.append(data[start + 4 : start + 8].decode())
        start += size
    assert boxes == ["ftyp", "free", "mdat", "moov"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        container.seek(6_000_000)
        frame = next(container.decode(video=0))
        assert frame.time is not None
        assert 4.0 <= frame.time <= 6.0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_recording_survives_the_kill_of_its_process(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    written = record_and_kill(path, frames=400)
    assert [p.name for p in tmp_path.iterdir()] == [f"out.partial{suffix}"]
    playable = 0
    with av.open(str(partial_path(path))) as container:
        try:
            for number, frame in enumerate(container.decode(video=0)):
                assert frame.time == pytest.approx(number / 25, abs=1e-3)
                playable += 1
        except av.error.InvalidDataError:
            pass  # the torn end
    # A second of frames may be on its way to the disk, and a few in the encoder.
    assert playable >= written - 2 * 25 - 10
    # The next run writes over it.
    writer = writer_for(path)
    write_frames(writer, range(3))
    writer.close()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_giving_up_keeps_what_was_recorded_under_the_partial_name(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    writer = writer_for(path)
    write_frames(writer, range(40))
    assert writer.abort() == partial_path(path)
    assert writer.abort() == partial_path(path)
    assert [p.name for p in tmp_path.iterdir()] == [f"out.partial{suffix}"]
    assert len(frame_times(partial_path(path))) == 40
    with pytest.raises(OutputError, match="given up"):
        write_frames(writer, [50])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("step", [1, 5, 100])  # 25, 5 and a quarter of a frame a second
def test_a_keyframe_comes_every_two_seconds_whatever_the_rate(tmp_path, suffix, step):
    path = tmp_path / f"out{suffix}"
    writer = writer_for(path)
    write_frames(writer, range(0, 130 * step, step))
    writer.close()
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.is_keyframe]
    times = [float((packet.pts or 0) * packet.time_base) for packet in packets]
    assert max(after - before for before, after in itertools.pairwise(times)) <= max(2, step / 25)
    assert len(times) >= min(130, 130 * step / 25 / 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_recording_that_goes_on_begins_at_0_with_its_sound(tmp_path, suffix):
    clip = make_clip(tmp_path / "clip.mp4", pts=range(125), sound="aac")
    path = tmp_path / f"out{suffix}"
    fine = Fraction(1, 90_000)
    writer = writer_for(path, audio_from=str(clip), starts_at_zero=True, time_base=fine)
    write_frames(writer, range(75 * 3600, 125 * 3600, 3600))
    summary = writer.close()
    found = frame_times(path)
    assert [round(time * 25) for time in found] == list(range(50))
    assert summary.duration_s == pytest.approx(2)
    (sound,), (whole,) = sound_times(path), sound_times(clip)
    assert 0 <= sound[0] < 0.03
    assert len(sound) == sum(time >= 3 for time in whole)


def test_a_recording_that_another_process_writes_is_not_touched(tmp_path):
    path = tmp_path / "out.mp4"
    process = start_recorder(path)
    try:
        wait_for_frames(process, 120)
        with pytest.raises(OutputError, match=r"out\.partial\.mp4: another run is writing it; end"):
            writer_for(path)
        wait_for_frames(process, 200)
        assert len(frame_times(partial_path(path))) > 50
    finally:
        end_recorder(process)


def test_nothing_is_left_where_nothing_was_recorded(tmp_path):
    assert writer_for(tmp_path / "a.mp4").abort() is None
    summary = writer_for(tmp_path / "b.mp4").close()
    assert (summary.path, summary.frames, summary.bytes) == (None, 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_says_the_same_and_a_late_frame_is_refused(tmp_path):
    writer = writer_for(tmp_path / "out.mp4")
    write_frames(writer, range(3))
    assert writer.close() == writer.close()
    assert writer.abort() is None
    with pytest.raises(StageError, match="already closed"):
        write_frames(writer, [9])


def test_a_pts_that_does_not_increase_is_refused(tmp_path):
    writer = writer_for(tmp_path / "out.mp4")
    with pytest.raises(StageError, match=r"a frame with pts 4 after one with 4; they must"):
        write_frames(writer, [3, 4, 4])
    writer.abort()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_that_fills_up_is_an_error_that_says_what_remains(small_disk, suffix, capfd):
    path = small_disk / f"out{suffix}"
    writer = writer_for(path, width=320, height=240)
    with pytest.raises(OutputError) as caught:
        write_noise(writer, (320, 240))
    text = str(caught.value)
    assert text.startswith(f"{path}: the disk is full after ")
    assert text.endswith(f" folder. {partial_path(path)} holds what was recorded before.")
    assert caught.value.exit_code == 2
    assert [p.name for p in small_disk.iterdir()] == [f"out.partial{suffix}"]
    with av.open(str(partial_path(path))) as container:
        assert next(container.decode(video=0)).pts == 0
    with pytest.raises(OutputError, match="disk is full"):
        writer.close()
    assert writer.abort() == partial_path(path)
    assert capfd.readouterr() == ("", "")


def test_a_disk_that_is_full_is_refused_before_the_start(small_disk):
    (small_disk / "big").write_bytes(b"\0" * 2_500_000)
    with pytest.raises(OutputError, match="the disk is full; free some space") as caught:
        writer_for(small_disk / "out.mp4")
    assert caught.value.exit_code == 2
    assert [p.name for p in small_disk.iterdir()] == ["big"]


def test_a_disk_that_fills_up_before_anything_plays_leaves_nothing(small_disk):
    writer = writer_for(small_disk / "out.mp4", width=640, height=480, crf=0)
    (small_disk / "big").write_bytes(b"\0" * (3_000_000))
    with pytest.raises(OutputError, match=r"the disk is full.*choose another folder\.$"):
        write_noise(writer, (640, 480))
    assert [p.name for p in small_disk.iterdir()] == ["big"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("out.avi", ConfigError, r"no recording is written to \.avi; use \.mkv or \.mp4\."),
        ("out", ConfigError, r"written to a name without suffix; use"),
        ("missing/out.mp4", OutputError, r"missing: no such folder; create it"),
        ("file/out.mp4", OutputError, r"file: not a folder; create it"),
        ("folder.mp4", OutputError, r"folder\.mp4: a folder; give a file name in it\."),
    ],
)
def test_an_impossible_place_is_refused_before_the_start(tmp_path, name, error, message):
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message) as caught:
        writer_for(tmp_path / name)
    assert caught.value.exit_code == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_takes_no_file_is_refused():
    # Not even root may make files there.
    with pytest.raises(OutputError, match=r"/proc/out.mp4: cannot be written \(.*\); choose"):
        writer_for(Path("/proc/out.mp4"))


@pytest.mark.parametrize("name", ["clip.mp4", "../x/clip.mp4", "link.mp4"])
def test_a_source_is_not_written_over(tmp_path, name):
    folder = tmp_path / "x"
    folder.mkdir()
    clip = make_clip(folder / "clip.mp4")
    (folder / "link.mp4").symlink_to(clip)
    before = clip.read_bytes()
    with pytest.raises(ConfigError, match="would be written over its own source; give another"):
        writer_for(folder / name, audio_from=str(clip))
    assert clip.read_bytes() == before


def test_the_partial_file_of_a_run_before_is_not_written_over_while_it_is_the_source(tmp_path):
    clip = make_clip(tmp_path / "out.partial.mp4")
    with pytest.raises(ConfigError, match="would be written over its own source"):
        writer_for(tmp_path / "out.mp4", audio_from=str(clip))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "veryfats"}, r"preset: 'veryfats' is unknown; did you mean 'veryfast'\?"),
        ({"preset": "zzz"}, r"'zzz' is unknown; use one of ultrafast, "),
        ({"crf": 52}, r"crf: 52 is impossible; give 0 \(lossless\) to 51\."),
        ({"crf": -1}, r"crf: -1 is impossible"),
    ],
)
def test_an_impossible_quality_is_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        writer_for(tmp_path / "out.mp4", **changes)
    assert list(tmp_path.iterdir()) == []


def test_the_usual_preset_looks_ahead(tmp_path):
    # x264 writes its settings into what it makes.
    writer = writer_for(tmp_path / "out.mp4", preset=CodecOptions().preset)
    write_frames(writer, range(3))
    writer.close()
    written = (tmp_path / "out.mp4").read_bytes()
    for setting in (b"me=dia", b"subme=1", b"rc_lookahead=10", b"mbtree=1"):
        assert setting in written


@pytest.mark.parametrize(
    ("frame_rate", "expected"),
    [(30.0, 30), (29.97002997, Fraction(30_000, 1001)), (None, 25), (90_000.0, 25), (0.0, 25)],
)
def test_a_rate_that_cannot_be_meant_is_taken_as_25(frame_rate, expected):
    settings = small_settings(time_base=Fraction(1, 1000), frame_rate=frame_rate)
    assert settings.rate_hz == expected
    assert settings.nominal_duration == round(1000 / expected)


@pytest.mark.parametrize("name", ["a:b.mp4", "50%d.mp4", "clip.MP4", "ünï cödé.mkv"])
def test_odd_names_are_written_as_they_are(tmp_path, name):
    writer = writer_for(tmp_path / name)
    write_frames(writer, range(3))
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
