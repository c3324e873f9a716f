"""Priors against published numbers, and the coding of boxes."""

from dataclasses import replace

import numpy as np
import pytest

from maskstream.engines.networks.yolact.config import get_config
from maskstream.engines.networks.yolact.priors import decode_boxes, encode_boxes, make_priors

BASE = get_config("yolact-base")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("yolact-base", 19_248),
        ("yolact-resnet50", 19_248),
        ("yolact-im400", 10_077),
        ("yolact-im700", 30_963),
        ("yolact-resnet50-pascal", 19_248),
        ("yolact-plus-base", 57_744),
        ("yolact-plus-resnet50", 57_744),
    ],
)
def test_prior_count_is_the_released_models(name, count):
    assert make_priors(get_config(name)).shape == (count, 4)


def test_first_priors_have_the_published_values():
    priors = make_priors(BASE)[:3]
    np.testing.assert_allclose(priors[:, :2], 0.00724638, atol=1e-7)
    sides = np.array([0.04363636, 0.03085557, 0.06171114])
    np.testing.assert_allclose(priors[:, 2], sides, atol=1e-7)
    np.testing.assert_allclose(priors[:, 3], sides, atol=1e-7)  # square on purpose


def test_pascal_priors_keep_their_aspect():
    scales = tuple((s,) for s in (24, 48, 96, 192, 384))
    priors = make_priors(replace(BASE, has_square_priors=False, prior_scales=scales))[:3]
    np.testing.assert_allclose(priors[1, 2:], [0.03085557, 0.06171114], atol=1e-7)
    np.testing.assert_allclose(priors[2, 2:], [0.06171114, 0.03085557], atol=1e-7)


def test_plus_models_have_three_scales_of_three_shapes_a_cell():
    priors = make_priors(get_config("yolact-plus-resnet50"))
    scales = np.repeat([24, 30.2381, 38.0976], 3) / 550
    root = np.sqrt(np.tile([1, 0.5, 2], 3))
    np.testing.assert_allclose(priors[:9, 2], scales * root, rtol=1e-5)
    np.testing.assert_allclose(priors[:9, 3], scales / root, rtol=1e-5)
    assert priors[-1, 2] == pytest.approx(384 * 2 ** (2 / 3) * 2**0.5 / 550)


def test_levels_start_at_the_published_offsets():
    priors = make_priors(BASE)
    for first, scale in zip(
        (0, 14_283, 17_958, 18_930, 19_173), (24, 48, 96, 192, 384), strict=True
    ):
        assert priors[first, 2] == pytest.approx(scale / 550)
        if first:
            assert priors[first - 1, 2] == pytest.approx(scale / 2 / 550 * 2**0.5)


def test_rows_run_along_the_picture_before_columns():
    priors = make_priors(BASE)
    assert priors[3, 0] == pytest.approx(1.5 / 69)  # the next cell is to the right
    assert priors[3, 1] == pytest.approx(0.5 / 69)


def test_decode_undoes_encode():
    priors = make_priors(BASE)[::97]
    random = np.random.default_rng(0)
    corner = random.uniform(0, 0.5, (len(priors), 2))
    boxes = np.concatenate([corner, corner + random.uniform(0.01, 0.5, corner.shape)], axis=1)
    boxes = boxes.astype(np.float32)
    np.testing.assert_allclose(decode_boxes(encode_boxes(boxes, priors), priors), boxes, atol=1e-5)


def test_encode_has_the_variances_of_ssd():
    prior = np.array([[0.5, 0.5, 0.2, 0.4]], np.float32)
    box = np.array([[0.42, 0.3, 0.62, 0.7]], np.float32)  # centre 0.02 to the right, same size
    np.testing.assert_allclose(encode_boxes(box, prior), [[1.0, 0, 0, 0]], atol=1e-5)
    wide = np.array([[0.5 - 0.1 * np.e, 0.3, 0.5 + 0.1 * np.e, 0.7]], np.float32)
    np.testing.assert_allclose(encode_boxes(wide, prior), [[0, 0, 5.0, 0]], atol=1e-5)
