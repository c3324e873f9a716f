"""The numbered source: its stamp through real encoders, its figure, its parameters."""

import time
from fractions import Fraction
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest

from maskstream.errors import SourceError
from maskstream.stream.pixels.stamp import write_stamp
from maskstream.stream.sources.synthetic import (
    Stamp,
    SyntheticSource,
    figure_box,
    parse_synthetic,
    read_stamp,
)
from tests.helpers.clips import canvas

STAMP = Stamp(frame_number=123_456, clock_ns=9_876_543_210_123)


@pytest.mark.parametrize("stamp", [STAMP, Stamp(0, 0), Stamp(2**32 - 1, 2**64 - 1)])
@pytest.mark.parametrize("size", [(160, 120), (322, 242), (1280, 720), (1920, 1080)])
def test_a_stamp_is_read_back(size, stamp):
    planes = canvas(*size)
    write_stamp(planes.y, stamp)
    assert read_stamp(planes.y) == stamp


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.37, 2.0])
@pytest.mark.parametrize("method", [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_AREA])
def test_a_stamp_survives_scaling(factor, method):
    planes = canvas(640, 360)
    write_stamp(planes.y, STAMP)
    scaled = cv2.resize(planes.y, None, fx=factor, fy=factor, interpolation=method)
    assert read_stamp(np.asarray(scaled, np.uint8)) == STAMP


def test_a_stamp_survives_a_picture_of_other_levels():
    planes = canvas(640, 360)
    write_stamp(planes.y, STAMP)
    assert read_stamp((planes.y // 3 + 60).astype(np.uint8)) == STAMP


def test_a_picture_without_a_stamp_is_refused():
    with pytest.raises(ValueError, match="there is none"):
        read_stamp(np.full((360, 640), 90, np.uint8))
    noise = np.random.default_rng(1).integers(0, 255, (360, 640)).astype(np.uint8)
    with pytest.raises(ValueError, match=r"none|checksum"):
        read_stamp(noise)


def test_a_stamp_with_one_wrong_bit_is_refused():
    planes = canvas(640, 360)
    write_stamp(planes.y, STAMP)
    planes.y[:11, :20] = 210 if planes.y[5, 10] < 128 else 40
    with pytest.raises(ValueError, match="checksum"):
        read_stamp(planes.y)


@pytest.mark.parametrize("size", ["320x240", "1280x720"])
def test_every_frame_is_known_after_h264_at_crf_28(tmp_path, size):
    source = SyntheticSource(f"synthetic:numbered?size={size}&frames=40", clock_ns=lambda: 77)
    planes = canvas(source.info.width, source.info.height)
    path = tmp_path / "out.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "28"})
        stream.width, stream.height = source.info.width, source.info.height
        for frame in source.frames():
            frame.write_into(planes)
            joint = np.concatenate([plane.ravel() for plane in planes]).reshape(
                -1, source.info.width
            )
            encoded = av.VideoFrame.from_ndarray(joint, "yuv420p")
            container.mux(stream.encode(encoded))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        stamps = [
            read_stamp(np.asarray(frame.to_ndarray()[: source.info.height], np.uint8))
            for frame in container.decode(video=0)
        ]
    assert stamps == [Stamp(number, 77) for number in range(40)]


def test_the_figure_is_where_its_number_says():
    source = SyntheticSource("synthetic:numbered?size=640x360&frames=200&pattern=square")
    planes = canvas(640, 360)
    for number, frame in enumerate(source.frames()):
        frame.write_into(planes)
        box = figure_box(number, 640, 360)
        rows, columns = np.nonzero(planes.y[44:] == 180)
        found = (columns.min(), rows.min() + 44, columns.max() + 1, rows.max() + 45)
        assert found == box
        half = np.nonzero(planes.v == 170)
        assert (half[1].min() * 2, half[0].min() * 2) == box[:2]


def test_the_figure_s_place_follows_the_documented_formula():
    # At 1280x720: 106 x 240 pixels, 8 across and 4 down a frame, below a stamp of 90 rows.
    assert figure_box(0, 1280, 720) == (0, 90, 106, 330)
    assert figure_box(10, 1280, 720) == (80, 130, 186, 370)
    # 390 rows of free way: after 97.5 frames it comes back up.
    assert figure_box(100, 1280, 720).top == 90 + 2 * 390 - 400


@pytest.mark.parametrize("size", [(160, 120), (1280, 720), (1920, 1080), (4096, 2160)])
def test_the_figure_moves_every_frame_and_stays_inside(size):
    width, height = size
    boxes = [figure_box(number, width, height) for number in range(1000)]
    assert all(before != after for before, after in pairwise(boxes))
    assert all(
        0 <= box.left < box.right <= width and height // 9 <= box.top < box.bottom <= height
        for box in boxes
    )
    assert all(value % 2 == 0 for box in boxes for value in box)


def test_the_figure_pattern_fills_only_part_of_its_box():
    source = SyntheticSource("synthetic:numbered?frames=1")
    planes = canvas(1280, 720)
    next(source.frames()).write_into(planes)
    box = figure_box(0, 1280, 720)
    inside = planes.y[box.top : box.bottom, box.left : box.right] == 180
    assert 0.4 < inside.mean() < 0.9
    assert inside[:, 53].any()
    assert not inside[0, 0]


def test_frames_are_timed_numbered_and_described():
    uri = "synthetic:numbered?size=320x240&fps=30000/1001&frames=7"
    source = SyntheticSource(uri)
    info = source.info
    assert (info.kind, info.width, info.height, info.frame_count) == ("synthetic", 320, 240, 7)
    assert info.time_base == Fraction(1001, 30_000)
    assert info.duration_s == pytest.approx(7 * 1001 / 30_000)
    assert [frame.pts for frame in source.frames()] == list(range(7))
    assert (source.error, source.warnings) == (None, ())
    assert (info.color_range, info.color_matrix) == (0, 6)
    assert SyntheticSource("synthetic:numbered").info.color_matrix == 1


def test_the_clock_in_the_stamp_is_the_monotonic_clock_at_drawing():
    source = SyntheticSource("synthetic:numbered?frames=1")
    planes = canvas(1280, 720)
    before = time.monotonic_ns()
    next(source.frames()).write_into(planes)
    assert before <= read_stamp(planes.y).clock_ns <= time.monotonic_ns()


def test_realtime_frames_come_at_their_rate():
    source = SyntheticSource("synthetic:numbered?frames=11&fps=50&rate=realtime")
    started_s = time.monotonic()
    assert len(list(source.frames())) == 11
    assert 0.2 <= time.monotonic() - started_s < 1.0


def test_drawing_is_faster_than_300_frames_a_second():
    source = SyntheticSource("synthetic:numbered?frames=150")
    planes = canvas(1280, 720)
    started_s = time.process_time()
    for frame in source.frames():
        frame.write_into(planes)
    assert 150 / (time.process_time() - started_s) > 300


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("synthetic:numberd", r"no synthetic source is called 'numberd'; use 'numbered'"),
        ("synthetic:numbered?sise=64x64", r"no parameter is called 'sise'; did you mean 'size'\?"),
        ("synthetic:numbered?zzz=1", r"'zzz'; use one of size, fps, frames, pattern, rate"),
        ("synthetic:numbered?size=1280", r"size=1280 is not possible; give WIDTHxHEIGHT"),
        ("synthetic:numbered?size=641x480", r"both even"),
        ("synthetic:numbered?size=64x64", r"from 160x120"),
        ("synthetic:numbered?fps=0", r"fps=0 is not possible; give frames a second above 0"),
        ("synthetic:numbered?fps=1/0", r"above 0"),
        ("synthetic:numbered?frames=-1", r"from 1 to"),
        ("synthetic:numbered?frames=", r"from 1 to"),
        ("synthetic:numbered?pattern=sqare", r"did you mean 'square'\?"),
        ("synthetic:numbered?rate=realtme", r"did you mean 'realtime'\?"),
    ],
)
def test_a_wrong_request_is_refused_with_what_is_near(uri, message):
    with pytest.raises(SourceError, match=message) as caught:
        parse_synthetic(uri)
    assert str(caught.value).startswith(uri)
    assert caught.value.exit_code == 3
