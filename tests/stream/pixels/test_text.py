"""Text in the planes: where it stands, that it can be told apart, and what it does to the rest."""

import cv2
import numpy as np
import pytest

from maskstream.stream.pixels.colors import BLACK, WHITE, Rgb, Yuv, YuvSpace
from maskstream.stream.pixels.text import FONT_WEIGHT, Font, draw_on_dark_strip, draw_tag
from tests.helpers.clips import filled

PAPER, INK = Yuv(180, 60, 200), Yuv(16, 128, 128)
SIZES_PX = [10, 13, 16, 23, 47]


def frame(width, height, y=1, chroma=1):
    return filled(width, height, y, chroma)


def ink_box(coverage):
    rows, columns = np.nonzero(coverage > 64)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_nothing_of_a_line_is_cut_off(size_px):
    text = "pj(|g 0.93 #12 Q"
    page = np.zeros((4 * size_px, 20 * size_px), np.uint8)
    cv2.putText(
        page, text, (size_px, 2 * size_px), (255,), cv2.FontFace("sans"), size_px, FONT_WEIGHT
    )
    coverage = Font(size_px).coverage(text)
    assert int(coverage.sum()) == int(page.sum())
    assert coverage.shape[0] % 2 == coverage.shape[1] % 2 == 0


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_digits_stand_in_the_middle_of_the_line(size_px):
    coverage = Font(size_px).coverage("0.93")
    left, top, right, bottom = ink_box(coverage)
    assert abs(top - (coverage.shape[0] - bottom)) <= 2
    assert abs(left - (coverage.shape[1] - right)) <= 2
    assert bottom - top == pytest.approx(0.75 * size_px, abs=2)


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_strokes_are_solid_and_edges_soft(size_px):
    coverage = Font(size_px).coverage("person 0.93")
    assert coverage.max() > 240
    assert ((coverage > 32) & (coverage < 224)).any()
    assert 0.08 < coverage.mean() / 255 < 0.35


@pytest.mark.parametrize("size_px", SIZES_PX)
def test_no_two_digits_look_alike(size_px):
    font = Font(size_px)
    digits = [font.coverage(f"0.{digit}").astype(int) for digit in range(10)]
    for first in range(10):
        for second in range(first):
            width = min(digits[first].shape[1], digits[second].shape[1])
            apart = np.abs(digits[first][:, :width] - digits[second][:, :width]).sum() / 255
            # In whole pixels: 3 and 9 at 10 px differ least.
            assert apart > 2


def test_longer_text_is_wider():
    font = Font(16)
    widths = [font.coverage(text).shape[1] for text in ("", "p", "person", "person 0.93 #12")]
    assert widths == sorted(set(widths))


@pytest.mark.parametrize(
    "text",
    ["\udc80", "a\nb", "a\tb", "a\0b", "\U0010ffff", "\U0001f600", "人 Ω ü", "\x7f\x1b", "%s"],
)
def test_any_character_comes_out_as_something_on_one_line(text):
    coverage = Font(16).coverage(text)
    assert coverage.shape[0] == Font(16).line_px
    assert coverage.max() > 200


@pytest.mark.parametrize("text", ["\n", "\0", "\udc80", "\t"])
def test_a_character_that_cannot_be_drawn_becomes_a_question_mark(text):
    font = Font(16)
    np.testing.assert_array_equal(font.coverage(text), font.coverage("?"))


def test_a_tag_changes_its_rectangle_and_nothing_else():
    planes = frame(160, 64)
    coverage = Font(16).coverage("person 0.93")
    height, width = coverage.shape
    draw_tag(planes, coverage, 20, 10, PAPER, INK)
    changed = planes.y != 1
    assert changed.sum() == changed[10 : 10 + height, 20 : 20 + width].sum() == coverage.size
    for plane in (planes.u, planes.v):
        changed = plane != 1
        inside = changed[5 : 5 + height // 2, 10 : 10 + width // 2]
        assert changed.sum() == inside.sum() == coverage.size // 4


def test_a_tag_is_paper_where_there_is_no_ink_and_ink_where_there_is_all():
    planes = frame(32, 32)
    coverage = np.zeros((8, 8), np.uint8)
    coverage[2:4, 2:4] = 255
    coverage[4, 4] = 128
    draw_tag(planes, coverage, 4, 4, PAPER, INK)
    assert planes.y[4, 4] == PAPER.y
    assert planes.y[6, 6] == INK.y
    assert planes.y[8, 8] == 98  # 180 + 128 / 255 * (16 - 180) = 97.7
    assert (planes.u[2, 2], planes.v[2, 2]) == (PAPER.u, PAPER.v)
    assert (planes.u[3, 3], planes.v[3, 3]) == (INK.u, INK.v)
    assert planes.u[4, 4] == 69  # a quarter of 128 is 32; 60 + 32 / 255 * 68 = 68.5


@pytest.mark.parametrize(("left", "top"), [(0, 0), (14, 0), (0, 14), (14, 14), (8, 6)])
def test_a_tag_is_cut_off_at_the_frame(left, top):
    planes = frame(16, 16)
    draw_tag(planes, Font(10).coverage("person 0.93"), left, top, PAPER, INK)
    rows, columns = np.nonzero(planes.y != 1)
    assert (rows.min(), columns.min(), columns.max()) == (top, left, 15)


@pytest.mark.parametrize(("color_range", "color_matrix"), [(0, 6), (0, 1), (1, 6)])
def test_the_strip_is_dark_enough_for_its_text_on_the_brightest_picture(color_range, color_matrix):
    space = YuvSpace(color_range, color_matrix)
    white, black = space.from_rgb(WHITE), space.from_rgb(BLACK)
    planes = frame(120, 40, y=white.y, chroma=128)
    coverage = Font(16).coverage("29.7 fps")
    draw_on_dark_strip(planes, coverage, 0, 0, black=black, ink=white)
    strip = planes.y[: coverage.shape[0], : coverage.shape[1]]
    behind = (int(strip[0, 0]) - black.y) / (white.y - black.y)
    assert behind == pytest.approx(0.4, abs=0.01)
    assert strip[coverage == 255].min() == white.y
    # Gamma 2.2: 0.4 of the signal is 0.13 of the light, a contrast of 5.7 with white.
    assert 1.05 / (behind**2.2 + 0.05) > 4.5


def test_the_strip_lets_the_picture_through():
    planes = frame(120, 40, y=16, chroma=200)
    planes.y[:, 10:] = 216
    coverage = np.zeros((10, 20), np.uint8)
    draw_on_dark_strip(planes, coverage, 0, 0, black=Yuv(16, 128, 128), ink=Yuv(235, 128, 128))
    # 0.4 * 16 + 0.6 * 16 and 0.4 * 216 + 0.6 * 16; chroma 0.4 * 200 + 0.6 * 128 = 156.8
    assert (planes.y[0, 9], planes.y[0, 10], planes.u[0, 0]) == (16, 96, 157)
    assert (planes.y[10, 0], planes.y[0, 20], planes.u[5, 0]) == (16, 216, 200)


def test_text_reads_black_on_its_colour_after_conversion_to_rgb():
    planes = frame(120, 40, y=16, chroma=128)
    paper = YuvSpace(0, 6).from_rgb(Rgb(250, 90, 60))
    coverage = Font(23).coverage("person")
    draw_tag(planes, coverage, 0, 0, paper, YuvSpace(0, 6).from_rgb(BLACK))
    i420 = np.concatenate([plane.ravel() for plane in planes]).reshape(60, 120)
    rgb = cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420)
    assert np.abs(rgb[0, 0].astype(int) - (250, 90, 60)).max() <= 3
    rows, columns = np.nonzero(coverage == 255)
    # Chroma is half as fine, so a thin stem keeps some colour; it has to stay dark all the same.
    assert rgb[rows, columns].max(axis=1).mean() < 60
