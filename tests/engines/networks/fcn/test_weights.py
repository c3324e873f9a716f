"""FCN8s files by their names and shapes; nothing of their size is made."""

import pytest
import torch

from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.fcn import weights
from maskstream.engines.networks.fcn.network import Fcn8s
from maskstream.engines.networks.fcn.weights import load_fcn8s
from tests.engines.networks.fcn.test_network import NARROW

PUBLISHED = (
    *(f"conv{stage}_{layer}" for stage, depth in enumerate((2, 2, 3, 3, 3), 1)
      for layer in range(1, depth + 1)),
    "fc6", "fc7", "score_fr", "score_pool3", "score_pool4",
)  # fmt: skip
"""Layers of the published files with weight and bias; the deconvolutions have a weight alone."""


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    """The real ones have 538 MB."""
    monkeypatch.setattr(
        weights, "Fcn8s", lambda count, **rest: Fcn8s(count, stages=NARROW, fc_channels=8, **rest)
    )


def state_of(class_count):
    return Fcn8s(class_count, stages=NARROW, fc_channels=8).state_dict()


def test_names_are_the_published_ones():
    with torch.device("meta"):
        names = set(Fcn8s(21).state_dict())
    both = {f"{layer}.{part}" for layer in PUBLISHED for part in ("weight", "bias")}
    assert names == both | {f"{name}.weight" for name in ("upscore2", "upscore_pool4", "upscore8")}


@pytest.mark.parametrize(
    ("name", "class_count", "is_at_once"),
    [
        ("fcn8s_from_caffe.pth", 21, False),
        ("fcn8s-atonce_from_caffe.pth", 21, True),
        ("fcn8_pascal_500.pth", 2, False),
    ],
)
def test_files_say_their_classes_and_their_variant(tmp_path, name, class_count, is_at_once):
    state = state_of(class_count)
    torch.save(state, tmp_path / name)
    network = load_fcn8s(tmp_path / name)
    assert network.is_at_once == is_at_once
    assert network.score_fr.out_channels == class_count
    torch.testing.assert_close(dict(network.state_dict()), dict(state))


def test_a_checkpoint_of_the_published_trainer_is_read(tmp_path):
    state = {"epoch": 3, "arch": "FCN8s", "best_mean_iu": 0.6, "model_state_dict": state_of(2)}
    torch.save(state, tmp_path / "model_best.pth.tar")
    assert load_fcn8s(tmp_path / "model_best.pth.tar").score_fr.out_channels == 2


def test_what_does_not_fit_is_refused_with_what_differs(tmp_path):
    state = state_of(2)
    del state["fc6.bias"]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"does not fit FCN8s: 1 missing \(fc6\.bias\)"):
        load_fcn8s(tmp_path / "x.pth")
    torch.save([1, 2], tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="holds no state_dict"):
        load_fcn8s(tmp_path / "x.pth")
