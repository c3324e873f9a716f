"""The figures of scaling: measured side by side."""

from maskstream.tools.bench.scaling import ScalingFigures, measure_scaling


def test_averaging_by_halves_beats_area_at_1080p():
    figures = measure_scaling(repeats=5)
    assert (figures.width, figures.height, figures.side) == (1920, 1080, 416)
    assert figures.times_area > 1.5


def test_ratios_count_how_often_ours_fits_in_the_others():
    figures = ScalingFigures(1920, 1080, 416, 0.5, 0.4, 4.0, 1.0, 6.0)
    assert (figures.times_convert_first, figures.times_area) == (2.0, 8.0)
