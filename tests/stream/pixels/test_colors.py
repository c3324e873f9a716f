"""Palette and Y'CbCr: against the standards' own numbers and an independent Oklab."""

import numpy as np
import pytest

from maskstream.stream.pixels.colors import BLACK, WHITE, Rgb, Yuv, YuvSpace, ink_on, palette

RED, BLUE = Rgb(255, 0, 0), Rgb(0, 0, 255)


@pytest.mark.parametrize(
    ("color_range", "color_matrix", "rgb", "expected"),
    [
        # 16 + 219 Y', 128 + 224 C with Y' = Kr for red and Kb for blue, by hand.
        pytest.param(0, 6, WHITE, (235, 128, 128), id="601-limited-white"),
        pytest.param(0, 6, BLACK, (16, 128, 128), id="601-limited-black"),
        pytest.param(0, 5, RED, (81, 90, 240), id="601-limited-red"),
        pytest.param(0, 6, BLUE, (41, 240, 110), id="601-limited-blue"),
        pytest.param(0, 1, RED, (63, 102, 240), id="709-limited-red"),
        pytest.param(0, 1, BLUE, (32, 240, 118), id="709-limited-blue"),
        pytest.param(1, 1, WHITE, (255, 128, 128), id="709-full-white"),
        pytest.param(1, 6, BLACK, (0, 128, 128), id="601-full-black"),
        pytest.param(1, 6, RED, (76, 85, 255), id="601-full-red-is-held-at-255"),
        pytest.param(1, 1, BLUE, (18, 255, 116), id="709-full-blue-is-held-at-255"),
    ],
)
def test_from_rgb_gives_the_standards_numbers(color_range, color_matrix, rgb, expected):
    assert YuvSpace(color_range, color_matrix).from_rgb(rgb) == Yuv(*expected)


@pytest.mark.parametrize("color_range", [0, 1])
@pytest.mark.parametrize("color_matrix", [1, 6, 9])
def test_the_way_back_undoes_the_way_there(color_range, color_matrix):
    space = YuvSpace(color_range, color_matrix)
    for rgb in (*palette(), WHITE, BLACK):
        back = space.rgb_matrix() @ np.array([*space.from_rgb(rgb), 1.0])
        # Half a step of chroma is worth up to 1.1 of blue, half a step of luma 0.6.
        assert np.abs(back - np.array(rgb)).max() < 1.8


@pytest.mark.parametrize(
    ("color_range", "color_matrix", "named"),
    [(2, 1, "colour range: 2"), (0, 2, "colour matrix: 2"), (0, 0, "colour matrix: 0")],
)
def test_an_unknown_space_is_refused_by_name(color_range, color_matrix, named):
    with pytest.raises(ValueError, match=named):
        YuvSpace(color_range, color_matrix)


def oklab(rgb):
    """Linear light, cone response, cube root, opponent axes (Ottosson's forward matrices)."""
    coded = np.array(rgb) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(to_lab) @ np.cbrt(np.array(to_cones) @ linear)


def distances(colors):
    places = np.array([oklab(color) for color in colors])
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    return apart + np.where(np.eye(len(colors)) > 0, np.inf, 0)


def test_no_two_colours_of_the_palette_look_alike():
    # A step just noticed is about 0.02 in Oklab.
    assert len(palette()) == 36
    assert distances(palette()[:12]).min() > 0.06
    assert distances(palette()).min() > 0.03


def test_neighbours_in_the_palette_are_far_apart():
    apart = distances(palette())
    assert min(apart[index, index + 1] for index in range(11)) > 0.2


def test_the_first_round_has_one_lightness_and_even_hues():
    places = np.array([oklab(color) for color in palette()[:12]])
    hues_deg = np.sort(np.degrees(np.arctan2(places[:, 2], places[:, 1])) % 360)
    steps = np.diff(hues_deg, append=hues_deg[0] + 360)
    assert np.ptp(places[:, 0]) < 0.01
    assert steps == pytest.approx(np.full(12, 30.0), abs=1.5)


def test_ink_is_readable_on_every_colour():
    def luminance(rgb):
        coded = np.array(rgb) / 255
        linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    for paper in palette():
        dark, light = sorted((luminance(paper), luminance(ink_on(paper))))
        # 4.5 is what WCAG 2.2 asks of normal text.
        assert (light + 0.05) / (dark + 0.05) > 4.5


def test_ink_is_black_on_white_and_white_on_black():
    assert (ink_on(WHITE), ink_on(BLACK)) == (BLACK, WHITE)
