"""A painter's work, judged by the pixels of the planes it leaves."""

from mmap import mmap

import numpy as np
import pytest

from maskstream.engines.interface.instances import Instances
from maskstream.stream.memory.frame import planes_of
from maskstream.stream.memory.slot import Slot, SlotLayout
from maskstream.stream.pixels.colors import WHITE, YuvSpace, palette
from maskstream.stream.pixels.painter import DrawStyle, Painter
from tests.helpers.clips import filled

NAMES = ("person", "bicycle")
UNTOUCHED = 1
"""A luma that limited-range drawing at full strength never gives."""


def frame(width, height, y=UNTOUCHED, chroma=UNTOUCHED):
    return filled(width, height, y, chroma)


def instances_of(boxes, *, patches=None, class_ids=None, track_ids=None, extents=None):
    """Instances with falling scores whose masks, unless given, fill their boxes."""
    count = len(boxes)
    boxes = np.array(boxes, np.float32).reshape(count, 4)
    solid = tuple(np.full((2, 2), 255, np.uint8) for _ in range(count))
    return Instances(
        boxes_xyxy_src=boxes,
        scores=np.linspace(0.93, 0.5, count).astype(np.float32),
        class_ids=np.array(class_ids or [0] * count, np.int32),
        extents_xyxy_src=np.array(boxes if extents is None else extents, np.int32).reshape(-1, 4),
        patches=solid if patches is None else patches,
        track_ids=None if track_ids is None else np.array(track_ids, np.int32),
    )


def painter(width, height, color_range=0, color_matrix=1, **style):
    plain = {"boxes": False, "labels": False} | style
    return Painter(DrawStyle(class_names=NAMES, **plain), width, height, color_range, color_matrix)


@pytest.mark.parametrize(("color_range", "color_matrix"), [(0, 1), (0, 6), (1, 1), (1, 6)])
def test_a_mask_mixes_45_percent_of_the_class_colour_into_each_plane(color_range, color_matrix):
    planes = frame(64, 48, y=90, chroma=120)
    painter(64, 48, color_range, color_matrix).draw(planes, instances_of([[8, 8, 24, 40]]), None)
    color = YuvSpace(color_range, color_matrix).from_rgb(palette()[0])
    found = (planes.y[20, 10], planes.u[10, 5], planes.v[10, 5])
    expected = (0.55 * 90 + 0.45 * color.y, *(0.55 * 120 + 0.45 * value for value in color[1:]))
    assert found == pytest.approx(expected, abs=0.5)


def test_pixels_outside_the_mask_keep_their_values():
    random = np.random.default_rng(0)
    planes = planes_of(random.integers(0, 256, 64 * 48 * 3 // 2, np.uint8), 64, 48)
    before = [plane.copy() for plane in planes]
    patch = np.zeros((16, 8), np.uint8)
    patch[:8] = 255
    found = instances_of([[8, 8, 24, 40]], patches=(patch,))
    painter(64, 48).draw(planes, found, None)
    # The upper half of the extents is masked: rows 8 to 23, columns 8 to 23.
    for plane, old, step in zip(planes, before, (1, 2, 2), strict=True):
        inside = np.zeros(plane.shape, bool)
        inside[8 // step : 24 // step, 8 // step : 24 // step] = True
        np.testing.assert_array_equal(plane[~inside], old[~inside])
        assert (plane != old)[inside].mean() > 0.9


def test_the_highest_score_lies_on_top():
    planes = frame(64, 48, y=16, chroma=128)
    found = instances_of([[8, 8, 40, 40], [24, 8, 56, 40]], class_ids=[0, 1])
    painter(64, 48, opacity=1.0, boxes=True).draw(planes, found, None)
    first, second = (YuvSpace(0, 1).from_rgb(rgb) for rgb in palette()[:2])
    assert [planes.y[20, column] for column in (10, 30, 39, 50)] == [first.y] * 3 + [second.y]
    assert [planes.u[10, column] for column in (5, 15, 19, 25)] == [first.u] * 3 + [second.u]


def test_overlapping_masks_are_mixed_like_layers_of_glass():
    planes = frame(64, 48, y=100, chroma=128)
    found = instances_of([[8, 8, 40, 40], [24, 8, 56, 40]], class_ids=[0, 1])
    painter(64, 48).draw(planes, found, None)
    first, second = (YuvSpace(0, 1).from_rgb(rgb) for rgb in palette()[:2])
    below = round(0.55 * 100 + 0.45 * second.y)
    assert planes.y[20, 30] == round(0.55 * below + 0.45 * first.y)


def test_nothing_seen_changes_nothing():
    planes = frame(64, 48)
    painter(64, 48, boxes=True, labels=True).draw(planes, Instances.empty(), 30.0)
    assert all((plane == UNTOUCHED).all() for plane in planes)


@pytest.mark.parametrize(
    ("style", "class_ids", "track_ids", "expected"),
    [
        pytest.param({"color_by": "class"}, [1, 1], None, [1, 1], id="by-class"),
        pytest.param({"color_by": "class"}, [37, 0], [5, 6], [1, 0], id="classes-wrap"),
        pytest.param({"color_by": "instance"}, [1, 1], None, [0, 1], id="by-rank"),
        pytest.param({"color_by": "instance"}, [1, 1], [7, 40], [7, 4], id="by-track"),
    ],
)
def test_colour_follows_class_rank_or_track(style, class_ids, track_ids, expected):
    planes = frame(64, 48)
    found = instances_of(
        [[2, 2, 20, 40], [30, 2, 50, 40]], class_ids=class_ids, track_ids=track_ids
    )
    painter(64, 48, opacity=1.0, **style).draw(planes, found, None)
    colors = [YuvSpace(0, 1).from_rgb(palette()[index]) for index in expected]
    assert [planes.y[20, 10], planes.y[20, 40]] == [color.y for color in colors]
    assert [planes.v[10, 5], planes.v[10, 20]] == [color.v for color in colors]


@pytest.mark.parametrize(
    ("size", "line_px"), [((320, 240), 2), ((1280, 720), 2), ((1920, 1080), 4), ((1080, 1920), 4)]
)
def test_a_box_is_an_even_frame_around_its_nearest_pixels(size, line_px):
    planes = frame(*size)
    painter(*size, opacity=0, boxes=True).draw(
        planes, instances_of([[40.9, 60.6, 99.2, 140.4]]), None
    )
    # To the nearest even pixel: 40, 60, 100 and 140.
    expected = np.zeros(planes.y.shape, bool)
    expected[60:140, 40:100] = True
    expected[60 + line_px : 140 - line_px, 40 + line_px : 100 - line_px] = False
    np.testing.assert_array_equal(planes.y != UNTOUCHED, expected)
    np.testing.assert_array_equal(planes.u != UNTOUCHED, expected[::2, ::2])
    np.testing.assert_array_equal(planes.v != UNTOUCHED, expected[::2, ::2])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param([-20, -20, 30, 30], (0, 0, 30, 30), id="over-the-upper-left"),
        pytest.param([40, 30, 99, 99], (40, 30, 64, 48), id="over-the-lower-right"),
        pytest.param([-5, -5, 99, 99], (0, 0, 64, 48), id="larger-than-the-frame"),
        pytest.param([63.2, 47.1, 63.9, 47.8], (62, 46, 64, 48), id="tiny-in-the-corner"),
        pytest.param([20, 20, 20, 20], (20, 20, 22, 22), id="without-area"),
        pytest.param([70, 10, 90, 30], None, id="right-of-the-frame"),
        pytest.param([10, -30, 30, -1], None, id="above-the-frame"),
    ],
)
def test_boxes_are_cut_at_the_frame(box, expected):
    planes = frame(64, 48)
    found = instances_of([box], extents=[[0, 0, 1, 1]])
    painter(64, 48, opacity=0, boxes=True).draw(planes, found, None)
    rows, columns = np.nonzero(planes.y != UNTOUCHED)
    if expected is None:
        assert rows.size == 0
    else:
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert edges == expected


def tag_area(size, label_boxes, **more):
    """Changed luma pixels when only labels are drawn."""
    planes = frame(*size)
    painter(*size, opacity=0, labels=True).draw(planes, instances_of(label_boxes, **more), None)
    return planes.y != UNTOUCHED


def test_a_label_stands_on_its_box_at_the_left():
    changed = tag_area((640, 480), [[100, 200, 200, 400]])
    rows, columns = np.nonzero(changed)
    assert (columns.min(), rows.max() + 1) == (100, 200)
    assert changed.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([300, 0, 400, 100], id="at-the-top"),
        pytest.param([600, 200, 640, 300], id="at-the-right"),
        pytest.param([0, 0, 640, 480], id="the-whole-frame"),
        pytest.param([-50, -50, 5, 5], id="over-the-corner"),
        pytest.param([620, 470, 700, 500], id="over-the-lower-right"),
    ],
)
def test_a_label_stays_whole_inside_the_picture(box):
    extents = [[0, 0, 1, 1]]
    free = tag_area((640, 480), [[100, 200, 200, 400]])
    assert tag_area((640, 480), [box], extents=extents).sum() == free.sum()


def test_labels_of_equal_boxes_do_not_cover_each_other():
    one = [[100, 200, 200, 400]]
    # With equal scores all labels have the same width: areas must simply add up.
    found = instances_of(one * 6)
    found.scores[:] = 0.5
    planes = frame(640, 480)
    painter(640, 480, opacity=0, labels=True).draw(planes, found, None)
    single = instances_of(one)
    single.scores[:] = 0.5
    alone = frame(640, 480)
    painter(640, 480, opacity=0, labels=True).draw(alone, single, None)
    assert (planes.y != UNTOUCHED).sum() == 6 * (alone.y != UNTOUCHED).sum()


def test_where_labels_cannot_part_the_highest_score_is_read():
    found = instances_of([[0, 0, 30, 30]] * 3)
    crowded, alone = frame(64, 16), frame(64, 16)
    painter(64, 16, opacity=0, labels=True).draw(crowded, found, None)
    painter(64, 16, opacity=0, labels=True).draw(alone, found.select([0]), None)
    np.testing.assert_array_equal(crowded.y, alone.y)


def test_a_track_number_makes_the_label_longer():
    box = [[100, 200, 200, 400]]
    assert tag_area((640, 480), box, track_ids=[12]).sum() > tag_area((640, 480), box).sum()


@pytest.mark.parametrize("color_range", [0, 1])
def test_label_text_stands_out_from_its_tag(color_range):
    planes = frame(640, 480)
    box = instances_of([[100, 200, 200, 400]])
    painter(640, 480, color_range, opacity=0, labels=True).draw(planes, box, None)
    space = YuvSpace(color_range, 1)
    tag = planes.y[planes.y != UNTOUCHED]
    paper = space.from_rgb(palette()[0]).y
    black = 16 if color_range == 0 else 0
    assert np.bincount(tag).argmax() == paper
    # Black on a blue of more than 40 percent luma; a tenth of the tag is ink.
    assert paper - tag.min() == paper - black > 80
    assert 0.08 < (tag < (paper + black) / 2).mean() < 0.4


def test_text_grows_with_the_frame():
    heights = []
    for size in ((320, 240), (1280, 720), (1920, 1080), (3840, 2160)):
        rows, _ = np.nonzero(tag_area(size, [[40, 100, 90, 180]]))
        heights.append(int(np.ptp(rows)) + 1)
    assert heights == sorted(set(heights))
    assert heights[-1] == pytest.approx(2 * heights[-2], abs=4)


def test_the_rate_stands_in_the_corner_on_a_strip_that_keeps_its_width():
    widths = set()
    for fps in (0.0, 9.5, 29.97, 118.2):
        planes = frame(640, 480, y=200, chroma=128)
        painter(640, 480, display_fps=True).draw(planes, Instances.empty(), fps)
        rows, columns = np.nonzero(planes.y != 200)
        assert rows.min() == columns.min() == 0
        assert rows.max() < 480 / 12
        assert planes.y.max() == YuvSpace(0, 1).from_rgb(WHITE).y
        widths.add(int(columns.max()))
    assert len(widths) == 1


def test_no_rate_is_shown_before_there_is_one_or_unasked():
    for style, fps in (({"display_fps": True}, None), ({"display_fps": False}, 30.0)):
        planes = frame(64, 48)
        painter(64, 48, **style).draw(planes, Instances.empty(), fps)
        assert (planes.y == UNTOUCHED).all()


def test_labels_keep_clear_of_the_rate():
    empty, labelled = frame(640, 480, y=200), frame(640, 480, y=200)
    style = {"opacity": 0.0, "labels": True, "display_fps": True}
    painter(640, 480, **style).draw(empty, Instances.empty(), 30.0)
    painter(640, 480, **style).draw(labelled, instances_of([[0, 0, 100, 200]]), 30.0)
    strip = empty.y != 200
    np.testing.assert_array_equal(labelled.y[strip], empty.y[strip])
    assert (labelled.y != 200).sum() > strip.sum()


@pytest.mark.parametrize("size", [(16, 16), (18, 32), (64, 16), (16, 120), (322, 242)])
def test_every_even_size_takes_random_instances(size):
    width, height = size
    random = np.random.default_rng(width)
    for _ in range(20):
        corners = random.uniform(-20, max(size) + 20, (8, 2, 2))
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        low = random.integers(0, (width, height), (8, 2))
        high = random.integers(low + 1, np.array([width, height]) + 1)
        patches = tuple(
            random.integers(0, 256, random.integers(1, 20, 2), np.uint8) for _ in range(8)
        )
        found = instances_of(
            boxes,
            patches=patches,
            extents=np.concatenate([low, high], axis=1),
            class_ids=[0, 1] * 4,
            track_ids=list(range(8)),
        )
        style = {"boxes": True, "labels": True, "display_fps": True, "color_by": "instance"}
        planes = frame(width, height, y=128, chroma=128)
        painter(width, height, **style).draw(planes, found, 25.0)
        assert (planes.y != 128).any()


def test_a_slot_is_drawn_on_from_its_own_instances():
    layout = SlotLayout(width=128, height=64, top_k=4, patch_px=16)
    with mmap(-1, layout.slot_bytes) as buffer:
        slot = Slot(buffer, layout, 0)
        slot.write_instances(instances_of([[9, 9, 40, 60], [50, 20, 90, 50]]))
        slot.planes.y[...] = UNTOUCHED
        painter(128, 64, opacity=1.0).draw(slot.planes, slot.instances(), None)
        changed = slot.planes.y != UNTOUCHED
        assert changed.sum() == 31 * 51 + 40 * 30
        assert changed[9, 9]
        del slot, changed


@pytest.mark.parametrize(
    ("style", "named"),
    [({"opacity": 1.5}, "opacity: 1.5"), ({"color_by": "score"}, "color_by: 'score'")],
)
def test_a_style_that_makes_no_sense_is_refused(style, named):
    with pytest.raises(ValueError, match=named):
        DrawStyle(class_names=NAMES, **style)
