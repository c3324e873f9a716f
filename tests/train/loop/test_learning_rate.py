"""The search for a learning rate."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from maskstream.train.augment_options import NO_AUGMENTATION
from maskstream.train.errors import TrainError
from maskstream.train.loop.learning_rate import (
    HIGHEST,
    LOWEST,
    RateSearch,
    find_learning_rate,
    plot_rates,
)
from maskstream.train.options import TrainOptions
from maskstream.train.samples.coco import read_coco
from maskstream.train.yolact.recipe import YolactRecipe
from tests.helpers.engines.tiny import tiny_config
from tests.helpers.shapes import write_shapes

OPTIONS = TrainOptions(
    iterations=1, batch=2, optimizer="adamw", clip_norm=10.0, augment=NO_AUGMENTATION
)


def test_the_suggestion_is_a_tenth_of_the_rate_with_the_least_loss():
    search = RateSearch(np.array([1e-5, 1e-4, 2e-3, 1e-2]), np.array([3.0, 2.5, 1.0, 4.0]))
    assert search.best == pytest.approx(2e-3)
    assert search.suggestion == pytest.approx(2e-4)
    assert search.has_turned
    assert not RateSearch(np.array([1e-5, 1e-4]), np.array([3.0, 2.0])).has_turned


def test_a_search_of_a_real_network(tmp_path):
    dataset = read_coco(write_shapes(tmp_path, 4))
    recipe = YolactRecipe(tiny_config(), dataset.class_names, OPTIONS)
    torch.manual_seed(0)
    seen = []
    search = find_learning_rate(
        recipe,
        recipe.make_network(),
        dataset.images,
        steps=30,
        watch=lambda *step: seen.append(step),
    )
    assert len(seen) == len(search.rates) == len(search.losses) > 10
    assert search.rates[0] == pytest.approx(LOWEST)
    assert search.rates[-1] <= HIGHEST * (1 + 1e-9)
    assert (np.diff(search.rates) > 0).all()
    assert search.losses.min() < search.losses[0]
    assert LOWEST * 0.1 <= search.suggestion <= HIGHEST * 0.1
    plot_rates(search, tmp_path / "rates.png")
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_frozen_stays_so_and_no_rate_of_the_options_counts(tmp_path):
    dataset = read_coco(write_shapes(tmp_path, 2))
    options = replace(OPTIONS, freeze_body=True, learning_rate=0.0)
    recipe = YolactRecipe(tiny_config(), dataset.class_names, options)
    network = recipe.make_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    find_learning_rate(recipe, network, dataset.images, steps=3)
    changed = {
        name for name, value in network.state_dict().items() if not torch.equal(before[name], value)
    }
    assert changed
    assert not [name for name in changed if name.startswith("backbone.")]


def test_a_network_that_is_not_finite_is_told(tmp_path):
    dataset = read_coco(write_shapes(tmp_path, 2))
    recipe = YolactRecipe(tiny_config(), dataset.class_names, replace(OPTIONS, seed=1))
    network = recipe.make_network()
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(TrainError, match="learning rate"):
        find_learning_rate(recipe, network, dataset.images, steps=2)
