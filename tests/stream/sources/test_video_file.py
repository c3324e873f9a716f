"""Frames of files that are real, awkward, broken or made here, against PyAV's plain decoding."""

import os
import subprocess
import sys
import tracemalloc
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from maskstream.errors import SourceError
from maskstream.stream.memory.source_info import DecodedFrame
from maskstream.stream.pixels.geometry import UPRIGHT, place
from maskstream.stream.sources.media import open_media, start_of
from maskstream.stream.sources.picture import PictureConverter
from maskstream.stream.sources.video_file import VideoFile
from tests.helpers.clips import (
    canvas,
    flat,
    frame_of,
    frame_times,
    gradient,
    make_clip,
    planes_from,
)
from tests.helpers.decoded import EVERY, digest, plain

# What lies in the folder of clips: frames, canvas, degrees, range, matrix.
CLIPS = {
    "05_default_juggle.mp4": (247, (1280, 720), 0, 0, 1),
    "SAR-2by3.mp4": (60, (426, 360), 0, 0, 6),
    "brother.mkv": (65, (640, 480), 0, 1, 6),
    "car-detection.mp4": (377, (768, 432), 0, 0, 6),
    "cockatoo.mp4": (280, (1280, 720), 0, 0, 1),
    "corrupted.mp4": (49, (1280, 720), 0, 0, 1),
    "h264-mjpeg.mp4": (60, (640, 360), 0, 0, 6),
    "nasa_13013.mp4": (390, (480, 270), 0, 0, 1),
    "no_duration.webm": (74, (1280, 720), 0, 0, 1),
    "no_timescale.mp4": (170, (320, 240), 0, 0, 6),
    "one-by-one-person-detection.mp4": (1394, (768, 432), 0, 0, 6),
    "test_non_zero_start.mp4": (12, (200, 112), 0, 0, 6),
    "test_res_change.h264": (96, (848, 464), 0, 0, 6),
    "test_yuv422p.mp4": (60, (640, 360), 0, 0, 6),
    "testsrc-hevc.mp4": (60, (640, 360), 0, 0, 6),
    "testsrc.mkv": (60, (640, 360), 0, 0, 6),
    "tiny_av1.mp4": (1, (64, 64), 0, 0, 6),
    "unordered.mov": (4, (50, 50), 0, 0, 6),
    "video02.avi": (748, (320, 240), 0, 0, 6),
    "video_0.mov": (3, (568, 320), 0, 0, 1),
    "video_180.mov": (3, (568, 320), 180, 0, 1),
    "video_270.mov": (3, (320, 568), 270, 0, 1),
    "video_90.mov": (3, (320, 568), 90, 0, 1),
    "video_with_failing_audio.mp4": (280, (640, 360), 0, 0, 6),
    "vtest.avi": (795, (768, 576), 0, 0, 6),
    "webvtt.mkv": (40, (300, 200), 0, 0, 6),
}
REFUSED = {
    "chunk_out_of_range.mp4": "cannot be read as a video: Invalid data",
    "zero_empty_stsc.mp4": "not one frame can be decoded",
}
DAMAGED = {"corrupted.mp4": 1, "no_timescale.mp4": 12}
"""Frames of each that cannot be decoded."""
SOUND_UNTIL = {"corrupted.mp4": 28, "no_timescale.mp4": 8}
"""Frames of each before the first damaged one."""
# Decoded planes go to the canvas as they are: nothing turned, scaled or converted.
UNTOUCHED = sorted(
    set(CLIPS)
    - {"SAR-2by3.mp4", "cockatoo.mp4", "test_res_change.h264", "test_yuv422p.mp4"}
    - {"video_90.mov", "video_180.mov", "video_270.mov"}
    - {"no_timescale.mp4"}  # what is made up for its lost parts depends on the threads
)


def read(path, threads=2):
    """All frames of a file: the source, their times in seconds, and the last picture."""
    source = VideoFile(str(path), threads=threads)
    planes = canvas(source.info.width, source.info.height)
    frames = []
    for frame in source.frames():
        frame.write_into(planes)
        frames.append(frame)
    source.close()
    return source, frames, planes


def _forgotten(_):
    raise AssertionError("the picture is no longer kept")


class Reading:
    """What our reader makes of a clip, without the memory of its frames."""

    def __init__(self, path):
        self.source = VideoFile(str(path), threads=2)
        self.planes = canvas(self.source.info.width, self.source.info.height)
        self.frames: list[DecodedFrame] = []
        self.digests: dict[int, str] = {}
        for frame in self.source.frames():
            frame.write_into(self.planes)
            if len(self.frames) % EVERY == 0:
                self.digests[len(self.frames)] = self._digest()
            self.frames.append(replace(frame, writer=_forgotten))
        self.digests[len(self.frames) - 1] = self._digest()
        self.source.close()

    def _digest(self):
        return digest(np.concatenate([plane.ravel() for plane in self.planes]))


@cache
def reading(path):
    """Return what a clip gives; it is read at the first call."""
    return Reading(path)


def test_every_clip_is_spoken_for(clips_dir):
    assert {path.name for path in clips_dir.iterdir()} == set(CLIPS) | set(REFUSED)


@pytest.mark.parametrize("name", sorted(CLIPS))
def test_a_clip_gives_the_frames_that_plain_decoding_gives(clips_dir, name, capfd):
    count, size, rotation, color_range, color_matrix = CLIPS[name]
    expected = plain(clips_dir / name)
    found = reading(clips_dir / name)
    info = found.source.info
    assert len(found.frames) == len(expected.sizes) == count
    assert ((info.width, info.height), info.rotation) == (size, rotation)
    assert (info.color_range, info.color_matrix) == (color_range, color_matrix)
    assert [(frame.width, frame.height) for frame in found.frames] == expected.sizes
    assert all(before.pts < after.pts for before, after in pairwise(found.frames))
    assert found.source.error is None
    assert found.source.decode_error_count == DAMAGED.get(name, 0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", UNTOUCHED)
def test_ordinary_pictures_reach_the_canvas_bit_by_bit(clips_dir, name):
    expected = plain(clips_dir / name).digests
    assert len(expected) >= len(plain(clips_dir / name).sizes) / EVERY
    if name in DAMAGED:  # what is made up for lost parts depends on the threads
        assert reading(clips_dir / name).digests.keys() == expected.keys()
        expected = {number: expected[number] for number in expected if number < SOUND_UNTIL[name]}
    assert expected.items() <= reading(clips_dir / name).digests.items()


@pytest.mark.parametrize("name", sorted(set(CLIPS) - {"test_res_change.h264", "video02.avi"}))
def test_timestamps_are_the_file_s_own_from_its_start(clips_dir, name):
    expected, found = plain(clips_dir / name), reading(clips_dir / name)
    times = [frame.pts * frame.time_base for frame in found.frames]
    wanted = [time - expected.start_s for time in expected.times]
    if name == "no_timescale.mp4":  # behind the damage its times go back, and are repaired
        times, wanted = times[:8], wanted[:8]
    assert times == wanted
    assert found.source.info.start_s == expected.start_s


def test_a_start_offset_is_taken_off_but_told(clips_dir):
    found = reading(clips_dir / "test_non_zero_start.mp4")
    assert found.frames[0].pts == 0
    assert float(found.source.info.start_s) == pytest.approx(8.333, abs=1e-3)


def test_a_variable_frame_rate_stays_variable(clips_dir):
    frames = reading(clips_dir / "brother.mkv").frames
    spacings = {after.pts - before.pts for before, after in pairwise(frames)}
    assert {33, 34, 67} <= spacings


def test_packed_frames_in_avi_come_one_after_the_other(clips_dir):
    # FFmpeg makes up times that go backwards 256 times; its own player counts packets instead.
    found = reading(clips_dir / "video02.avi")
    assert {after.pts - before.pts for before, after in pairwise(found.frames)} == {1}
    assert found.source.warnings == ()


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_reordered_frames_in_avi_start_at_zero_and_are_evenly_spaced(tmp_path, codec):
    options = {"bf": "2", "g": "12"}
    clip = make_clip(tmp_path / "b.avi", pts=range(30), codec=codec, options=options)
    _, frames, _ = read(clip)
    assert [frame.pts * frame.time_base for frame in frames] == [
        Fraction(number, 25) for number in range(30)
    ]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_clip_without_a_decodable_frame_is_refused_in_one_line(clips_dir, name, capfd):
    path = str(clips_dir / name)
    for _ in range(2):  # FFmpeg's log is asked again for what it has said before
        with pytest.raises(SourceError) as caught:
            VideoFile(path, threads=2)
        text = str(caught.value)
        assert text.startswith(f"{path}: {REFUSED[name]}")
        assert "\n" not in text
        assert caught.value.exit_code == 3
        if name == "chunk_out_of_range.mp4":
            assert "STSC" in text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("name", sorted(DAMAGED))
def test_a_damaged_clip_delivers_its_good_frames_and_says_so(clips_dir, name, threads):
    source, frames, _ = read(clips_dir / name, threads=threads)
    assert len(frames) == CLIPS[name][0]
    assert source.error is None
    assert source.decode_error_count == DAMAGED[name]
    assert f"{DAMAGED[name]} damaged frame" in source.warnings[-1]


def broken_clip(path, good, numbers):
    """Write a clip again with the packets of some frames made unreadable."""
    with av.open(str(good)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                kept: Any = av.Packet(b"\xff" * 200) if number in numbers else packet
                kept.pts, kept.dts, kept.time_base = packet.pts, packet.dts, packet.time_base
                kept.is_keyframe, kept.stream = packet.is_keyframe, stream
                target.mux(kept)
    return path


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("codec", "suffix", "numbers"),
    [
        pytest.param("libx264", ".mkv", {25}, id="one-in-the-middle"),
        pytest.param("libx264", ".mkv", {7, 20, 21}, id="several"),
        pytest.param("libx264", ".mp4", {39}, id="the-last"),
        pytest.param("libx264", ".avi", {30}, id="avi"),
        pytest.param("mpeg4", ".mkv", {12}, id="another-codec"),
        pytest.param("mjpeg", ".mkv", {0}, id="the-first-picture-of-mjpeg"),
    ],
)
def test_a_broken_packet_costs_its_own_frame_only(tmp_path, codec, suffix, numbers, threads):
    options = {"qp": "0", "bf": "0"} if codec == "libx264" else {}
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    good = make_clip(
        tmp_path / f"good{suffix}", pts=range(40), codec=codec, pixel_format=pixels,
        options=options,
    )  # fmt: skip
    broken = broken_clip(tmp_path / f"broken{suffix}", good, numbers)
    source, frames, _ = read(broken, threads=threads)
    assert len(frames) == 40 - len(numbers)
    if numbers != {39} or threads == 1:  # FFmpeg tells nothing of what its threads lose last
        assert source.decode_error_count == len(numbers)
    assert source.error is None
    times = [number for number in range(40) if number not in numbers]
    seconds = [float(frame.pts * frame.time_base) for frame in frames]
    assert seconds == pytest.approx([number / 25 for number in times], abs=0.002)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_file_that_is_cut_off_gives_the_frames_that_the_decoder_holds(tmp_path, threads):
    whole = make_clip(tmp_path / "whole.mkv", pts=range(40), options={"qp": "20", "bf": "3"})
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    _, frames, _ = read(cut, threads=threads)
    with av.open(str(cut)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert len(packets) - 1 <= len(frames) <= len(packets)


def test_a_made_change_of_size_is_fitted_into_the_first(tmp_path):
    large = make_clip(tmp_path / "1.h264", pts=range(4), size=(64, 48), paint=flat(90, 100, 110))
    small = make_clip(tmp_path / "2.h264", pts=range(3), size=(32, 48), paint=flat(200, 60, 70))
    both = tmp_path / "both.h264"
    both.write_bytes(large.read_bytes() + small.read_bytes() + large.read_bytes())
    _, frames, _ = read(both)
    assert [frame.epoch for frame in frames] == [0] * 4 + [1] * 3 + [2] * 4
    assert [frame.width for frame in frames] == [64] * 4 + [32] * 3 + [64] * 4
    planes = canvas(64, 48)
    frames[5].write_into(planes)
    expected = np.full((48, 64), 16)
    expected[:, 16:48] = 200
    assert np.abs(planes.y.astype(int) - expected).max() <= 1
    assert np.abs(planes.u[:, 8:24].astype(int) - 60).max() <= 1
    assert set(planes.u[:, :8].ravel()) == {128}
    frames[7].write_into(planes)
    assert set(planes.y.ravel()) == {90}


def test_oddities_that_do_no_harm_are_told(clips_dir):
    source = reading(clips_dir / "no_timescale.mp4").source
    assert len(source.warnings) in (3, 4)
    assert "no multiple of 90 degrees" in source.warnings[0]
    assert "of the frames damaged, but shown" in source.warnings[-2]
    source = reading(clips_dir / "test_res_change.h264").source
    assert ["96 frames without a timestamp" in text for text in source.warnings] == [True]


def test_a_change_of_size_is_a_new_epoch_fitted_into_the_canvas(clips_dir):
    expected = plain(clips_dir / "test_res_change.h264")
    found = reading(clips_dir / "test_res_change.h264")
    first_small = next(index for index, (width, _) in enumerate(expected.sizes) if width == 424)
    assert [frame.epoch for frame in found.frames] == [0] * first_small + [1] * (96 - first_small)
    # Doubled in size: its own mean brightness, and alike when shrunk again.
    small = expected.last[:232].astype(float)
    shrunk = found.planes.y.reshape(232, 2, 424, 2).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 3


@pytest.mark.parametrize(("name", "quarters"), [("video_90.mov", 3), ("video_270.mov", 1)])
def test_rotation_metadata_is_applied_once(clips_dir, name, quarters):
    planes = reading(clips_dir / name).planes
    stored = planes_from(plain(clips_dir / name).last, 568, 320)
    for plane, expected in zip(planes, stored, strict=True):
        np.testing.assert_array_equal(plane, np.rot90(expected, quarters))


@pytest.mark.parametrize(
    ("rotation", "turned", "degrees"),
    [
        ({"degrees": 90}, lambda p: np.rot90(p, 1), 270),
        ({"degrees": -90}, lambda p: np.rot90(p, -1), 90),
        ({"degrees": 180}, lambda p: np.rot90(p, 2), 180),
        ({"degrees": 0, "hflip": True}, np.fliplr, 0),
    ],
)
def test_a_made_clip_is_turned_as_it_says(tmp_path, rotation, turned, degrees):
    clip = make_clip(tmp_path / "turned.mp4", pts=[0], rotation=rotation)
    source, _, planes = read(clip)
    stored = planes_from(gradient(0, 64, 48), 64, 48)
    for plane, expected in zip(planes, stored, strict=True):
        np.testing.assert_array_equal(plane, turned(expected))
    assert source.info.rotation == degrees


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    clip = make_clip(tmp_path / "sar.mp4", size=(96, 48), sample_aspect=Fraction(2, 3))
    source, _, planes = read(clip)
    assert (source.info.width, source.info.height) == (64, 48)
    assert source.info.sample_aspect == Fraction(2, 3)
    stored = planes_from(gradient(4, 96, 48), 96, 48).y.astype(float)
    across = (np.arange(64) + 0.5) * 1.5 - 0.5
    expected = np.array([np.interp(across, np.arange(96), row) for row in stored])
    smooth = np.abs(np.diff(expected, axis=1)) < 10  # not where the gradient wraps around
    assert np.abs(planes.y - expected)[:, 1:][smooth].max() <= 4


def test_impossible_pixel_shapes_are_told_and_ignored(tmp_path):
    clip = make_clip(tmp_path / "sar.mp4", sample_aspect=Fraction(1, 50))
    source, _, _ = read(clip)
    assert source.info.width == 64
    assert ["cannot be meant" in text for text in source.warnings] == [True]


@pytest.mark.parametrize("size", [(35, 27), (64, 27), (35, 48)])
def test_an_odd_size_grows_by_its_own_edge(tmp_path, size):
    clip = make_clip(tmp_path / "odd.mkv", pts=[0], size=size, codec="ffv1")
    source, _, planes = read(clip)
    width, height = size
    assert (source.info.width, source.info.height) == (width + width % 2, height + height % 2)
    luma = gradient(0, width, height)[: width * height].reshape(height, width)
    np.testing.assert_array_equal(planes.y[:height, :width], luma)
    np.testing.assert_array_equal(planes.y[height - 1 :, : width - 1][-1], luma[-1, :-1])


@pytest.mark.parametrize(
    ("pixel_format", "codec"),
    [
        ("yuv444p", "ffv1"),
        ("yuv422p", "ffv1"),
        ("yuv410p", "ffv1"),
        ("yuv420p10le", "ffv1"),
        ("yuv422p10le", "ffv1"),
        ("yuva420p", "ffv1"),
        ("yuvj420p", "mjpeg"),
        ("yuvj444p", "mjpeg"),
    ],
)
def test_other_samplings_and_depths_become_i420(tmp_path, pixel_format, codec):
    paint = flat(120, 90, 160)
    full = pixel_format.startswith("yuvj")
    clip = make_clip(
        tmp_path / "other.mkv",
        pts=[0],
        codec=codec,
        pixel_format=pixel_format,
        paint=paint,
        color_range=2 if full else 1,
        options={"q": "1"} if full else {},
    )
    source, _, planes = read(clip)
    assert source.info.color_range == int(full)
    for plane, value in zip(planes, (120, 90, 160), strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 2


def test_luma_of_full_chroma_video_is_not_touched(tmp_path):
    clip = make_clip(tmp_path / "c.mkv", pts=[0], codec="ffv1", pixel_format="yuv444p")
    _, _, planes = read(clip)
    expected = planes_from(gradient(0, 64, 48), 64, 48)
    assert np.abs(planes.y.astype(int) - expected.y).max() <= 1
    assert np.abs(planes.u.astype(int) - expected.u).max() <= 3


def yuv_of(red: float, green: float, blue: float, matrix: int, *, full: bool) -> list[float]:
    """ITU-R BT.601 and BT.709, equations 1 to 3, for 8 bits."""
    kr, kb = (0.2126, 0.0722) if matrix == 1 else (0.299, 0.114)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    differences = [(blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)]
    if full:
        return [luma, *(128 + value for value in differences)]
    return [16 + luma * 219 / 255, *(128 + value * 224 / 255 for value in differences)]


@pytest.mark.parametrize(("size", "matrix"), [((64, 48), 6), ((1280, 720), 1)])
def test_rgb_video_becomes_yuv_of_the_matrix_that_its_height_asks_for(tmp_path, size, matrix):
    path = tmp_path / "rgb.mov"
    color = (200, 40, 90)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("qtrle", rate=25)
        stream.width, stream.height, stream.pix_fmt = size[0], size[1], "rgb24"
        picture = np.broadcast_to(np.array(color, np.uint8), (size[1], size[0], 3))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source, _, planes = read(path)
    assert (source.info.color_range, source.info.color_matrix) == (0, matrix)
    for plane, value in zip(planes, yuv_of(*color, matrix, full=False), strict=True):
        assert np.abs(plane.astype(float) - value).max() <= 2


def test_wide_gamut_video_becomes_bt709(tmp_path):
    # BT.2020's luma weights are others: the same colour has other numbers in BT.709.
    red, green, blue = 180.0, 60.0, 100.0
    kr, kb = 0.2627, 0.0593
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    u, v = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    stored = [round(16 + luma * 219 / 255), round(128 + u * 224 / 255), round(128 + v * 224 / 255)]
    clip = make_clip(
        tmp_path / "wide.mkv",
        pts=[0],
        size=(1280, 720),
        paint=flat(*stored),
        color_range=1,
        color_matrix=9,
    )
    source, _, planes = read(clip)
    assert source.info.color_matrix == 1
    for plane, value in zip(planes, yuv_of(red, green, blue, 1, full=False), strict=True):
        assert np.abs(plane.astype(float) - value).max() <= 2


@pytest.mark.parametrize("color_matrix", [1, 5, 6])
@pytest.mark.parametrize("color_range", [1, 2])
def test_range_and_matrix_are_carried_and_nothing_is_converted(tmp_path, color_range, color_matrix):
    clip = make_clip(
        tmp_path / "c.mp4", pts=[0], color_range=color_range, color_matrix=color_matrix
    )
    source, _, planes = read(clip)
    assert source.info.color_range == color_range - 1
    assert source.info.color_matrix == color_matrix
    joint = np.concatenate([plane.ravel() for plane in planes])
    np.testing.assert_array_equal(joint, gradient(0, 64, 48))


@pytest.mark.parametrize(("height", "matrix"), [(718, 6), (720, 1)])
def test_an_unknown_matrix_goes_by_height(tmp_path, height, matrix):
    clip = make_clip(tmp_path / "c.mp4", pts=[0], size=(64, height))
    assert read(clip)[0].info.color_matrix == matrix


def test_a_frame_of_another_range_in_mid_stream_is_converted():
    converter = PictureConverter(0, 6, 1)
    frame = frame_of(flat(255, 128, 128)(0, 64, 48), 64, 48)
    frame.color_range = 2
    planes = canvas(64, 48)
    converter.write(frame, UPRIGHT, place(64, 48, Fraction(1), UPRIGHT, (64, 48)), planes)
    assert np.abs(planes.y.astype(int) - 235).max() <= 1


def test_a_picture_stored_upside_down_in_memory_is_read_from_its_top():
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=64, height=48, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 25)
    )
    flip, sink = graph.add("vflip"), graph.add("buffersink")
    source.link_to(flip)
    flip.link_to(sink)
    graph.configure()
    graph.push(frame_of(gradient(0, 64, 48), 64, 48))
    frame = graph.pull()
    assert isinstance(frame, av.VideoFrame)
    assert frame.planes[0].line_size < 0  # what FFmpeg's own flip does
    planes = canvas(64, 48)
    placement = place(64, 48, Fraction(1), UPRIGHT, (64, 48))
    PictureConverter(0, 6, 1).write(frame, UPRIGHT, placement, planes)
    np.testing.assert_array_equal(planes.y, np.flipud(planes_from(gradient(0, 64, 48), 64, 48).y))


def test_an_ordinary_picture_is_copied_once_and_nothing_else(tmp_path):
    clip = make_clip(tmp_path / "c.mp4", pts=range(3), size=(1280, 720))
    source = VideoFile(str(clip), threads=1)
    planes = canvas(1280, 720)
    frames = list(source.frames())
    tracemalloc.start()
    try:
        frames[1].write_into(planes)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    source.close()
    assert peak_bytes < 20_000  # numpy's arrays are traced: a second picture would be 1.4 MB


def test_a_frame_may_be_written_after_the_next_was_decoded(tmp_path):
    source = VideoFile(str(make_clip(tmp_path / "c.mp4", pts=range(30))), threads=2)
    frames = list(source.frames())
    source.close()
    planes = canvas(64, 48)
    frames[3].write_into(planes)
    np.testing.assert_array_equal(planes.y, planes_from(gradient(3, 64, 48), 64, 48).y)


@pytest.mark.parametrize(
    ("pts", "time_base"),
    [
        pytest.param([0, 33, 100, 101, 900], Fraction(1, 1000), id="variable-rate"),
        pytest.param([250, 290, 330], Fraction(1, 1000), id="start-offset"),
    ],
)
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_times_of_a_made_clip_are_kept_from_its_start(tmp_path, pts, time_base, suffix):
    clip = make_clip(tmp_path / f"vfr{suffix}", pts=pts, time_base=time_base)
    _, frames, _ = read(clip)
    expected = [(value - pts[0]) * time_base for value in pts]
    assert [frame.pts * frame.time_base for frame in frames] == expected


def test_pictures_that_begin_after_the_sound_stay_behind_it(tmp_path):
    clip = make_clip(
        tmp_path / "late.mkv",
        pts=[500, 540, 580],
        time_base=Fraction(1, 1000),
        sound="flac",
    )
    _, frames, _ = read(clip)
    assert frame_times(clip)[0] == Fraction(1, 2)
    assert frames[0].pts * frames[0].time_base == Fraction(1, 2)


def test_rate_count_and_length_are_described(tmp_path):
    clip = make_clip(tmp_path / "c.mp4", pts=range(10), sound="aac")
    info = read(clip)[0].info
    assert (info.uri, info.kind, info.codec) == (str(clip), "file", "h264")
    assert info.frame_rate == pytest.approx(25)
    assert info.frame_count == 10
    assert info.duration_s == pytest.approx(0.4)
    assert info.has_audio


def test_a_bare_stream_is_timed_by_its_own_rate(tmp_path):
    clip = make_clip(tmp_path / "bare.h264", pts=range(10))
    source, frames, _ = read(clip)
    assert [frame.pts * frame.time_base for frame in frames] == [
        Fraction(number, 25) for number in range(10)
    ]
    assert ["10 frames without a timestamp" in text for text in source.warnings] == [True]


def test_sound_alone_and_a_cover_picture_alone_are_refused(tmp_path):
    sound = tmp_path / "sound.mkv"
    make_clip(tmp_path / "both.mkv", sound="flac")
    with av.open(str(tmp_path / "both.mkv")) as both, av.open(str(sound), "w") as only:
        template = both.streams.audio[0]
        stream = only.add_stream_from_template(template)
        for packet in both.demux(template):
            if packet.size:
                packet.stream = stream
                only.mux(packet)
    with pytest.raises(SourceError, match=r"sound.mkv: holds only sound; give a video file"):
        VideoFile(str(sound), threads=1)
    cover = make_cover(tmp_path / "cover.mp4", sound)
    with pytest.raises(SourceError, match=r"cover.mp4: holds only a cover picture; give a video"):
        VideoFile(str(cover), threads=1)


def make_cover(path, sound):
    """A song with a picture on its sleeve."""
    with av.open(str(sound)) as source, av.open(str(path), "w") as target:
        template = source.streams.audio[0]
        song = target.add_stream_from_template(template)
        picture: Any = target.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        picture.disposition = Disposition.attached_pic
        target.mux(picture.encode(frame_of(gradient(0, 64, 48), 64, 48)))
        target.mux(picture.encode(None))
        for packet in source.demux(template):
            if packet.size:
                packet.stream = song
                target.mux(packet)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "no such file; give an existing video file"),
        (lambda p: p.touch(), "an empty file of 0 bytes; give a video file"),
        (lambda p: p.write_text("Dear diary,\n" * 50), "a text file, not a video; give"),
        (lambda p: p.write_bytes(b"\xff\x00\x13" * 5000), "cannot be read as a video: "),
        (lambda p: p.mkdir(), "a folder; give one video file of it"),
        (os.mkfifo, "a device or pipe, not a file; give"),
    ],
)
@pytest.mark.parametrize("name", ["thing.mp4", "thing.txt", "a:b.mp4", "ein würfel %d.mkv"])
def test_what_is_no_video_is_refused_by_name_and_cause(tmp_path, name, make, message, capfd):
    path = tmp_path / name
    make(path)
    with pytest.raises(SourceError) as caught:
        VideoFile(str(path), threads=1)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    clip = make_clip(tmp_path / "private.mp4")
    clip.chmod(0)
    code = (
        "import os, sys\n"
        "from maskstream.errors import SourceError\n"
        "from maskstream.stream.sources.video_file import VideoFile\n"
        "if os.geteuid() == 0:\n"
        "    os.setresuid(65534, 65534, 65534)\n"
        "try:\n"
        "    VideoFile(sys.argv[1], threads=1)\n"
        "except SourceError as exc:\n"
        "    print(exc)\n"
    )
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if os.geteuid() == 0 and folder != folder.parent:
            folder.chmod(folder.stat().st_mode | 0o111)
    done = subprocess.run(
        [sys.executable, "-c", code, str(clip)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (
        f"{clip}: no permission to read it; allow it with chmod +r.\n",
        "",
    )


def test_names_with_a_colon_or_a_percent_sign_are_files_like_others(tmp_path):
    for name in ("a:b.mp4", "rtsp:x.mp4", "50%d.mp4", "-o.mp4"):
        _, frames, _ = read(make_clip(tmp_path / "plain.mp4").rename(tmp_path / name))
        assert len(frames) == 5


def test_the_log_is_quiet_before_and_after_a_refusal(tmp_path, capfd):
    (tmp_path / "z.mp4").write_bytes(b"\x00" * 500)
    for _ in range(2):
        with pytest.raises(SourceError):
            open_media(str(tmp_path / "z.mp4"))
        av.logging.log(av.logging.ERROR, "test", "this must go nowhere")
        assert av.logging.get_level() is None
    assert capfd.readouterr() == ("", "")


def test_the_log_is_not_listened_to_where_a_file_opens(clips_dir, monkeypatch):
    """A decoder in another thread that logs meanwhile could block the process for good."""
    heard: list[int | None] = []
    monkeypatch.setattr(av.logging, "set_level", heard.append)
    read(clips_dir / "no_timescale.mp4")
    assert heard == []


def test_the_start_is_exact(clips_dir):
    with open_media(str(clips_dir / "test_non_zero_start.mp4")) as container:
        assert start_of(container) == Fraction(127_995, 15_360)


def test_closing_in_mid_stream_leaves_no_frame_and_no_thread_behind(clips_dir):
    source = VideoFile(str(clips_dir / "vtest.avi"), threads=2)
    frames = source.frames()
    next(frames)
    source.close()
    source.close()
    assert source.error is None


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [
        ("mpeg2video", ".ts", {"flags": "+ildct+ilme"}),
        ("libx264", ".mkv", {"qp": "20", "x264-params": "interlaced=1"}),
        ("mpeg2video", ".mpg", {"flags": "+ildct+ilme"}),
    ],
)
def test_interlaced_video_is_told(tmp_path, codec, suffix, options):
    clip = make_clip(tmp_path / f"a{suffix}", codec=codec, options=options)
    with closing(VideoFile(str(clip), threads=1)) as source:
        assert ["interlaced" in text for text in source.info.warnings] == [True]
