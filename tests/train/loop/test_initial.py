"""Beginning with the weights of a network for other classes."""

from dataclasses import replace

import pytest
import torch

from maskstream.engines.networks.yolact.config import get_config
from maskstream.engines.networks.yolact.network import Yolact
from maskstream.train.errors import TrainError
from maskstream.train.loop.checkpoint import save_checkpoint
from maskstream.train.loop.initial import load_weights
from tests.helpers.engines.tiny import tiny_config


@pytest.fixture(scope="module")
def other():
    """A network for five classes."""
    torch.manual_seed(5)
    return Yolact(tiny_config(class_count=5))


def test_layers_for_other_classes_are_left_out_and_named(other, tmp_path):
    state = other.state_dict()
    save_checkpoint(tmp_path / "last.pt", {"network": {}, "average": state})
    network = Yolact(tiny_config(class_count=3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    dropped = load_weights(network, tmp_path / "last.pt")
    assert dropped == [
        "prediction_layers.0.conf_layer.weight",
        "prediction_layers.0.conf_layer.bias",
        "semantic_seg_conv.weight",
        "semantic_seg_conv.bias",
    ]
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, (before if name in dropped else state)[name])


def test_with_the_same_classes_everything_is_taken(other, tmp_path):
    torch.save(other.state_dict(), tmp_path / "yolact_tiny_1_2.pth")
    network = Yolact(tiny_config(class_count=5))
    assert load_weights(network, tmp_path / "yolact_tiny_1_2.pth") == []
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name])


def test_released_files_may_lack_counters_and_hold_legacy_keys(other, tmp_path):
    state = {
        f"module.{name}": value
        for name, value in other.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    state["module.backbone.layer1.0.conv1.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "a.pth")
    assert load_weights(Yolact(tiny_config(class_count=5)), tmp_path / "a.pth") == []


def test_attention_begins_anew_where_the_file_has_none(tmp_path):
    plain = Yolact(tiny_config())
    torch.save(plain.state_dict(), tmp_path / "a.pth")
    attending = Yolact(replace(tiny_config(), has_channel_attention=True))
    assert load_weights(attending, tmp_path / "a.pth") == []
    frames = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(attending.eval()(frames).logits, plain.eval()(frames).logits)
    # The other way round something would be lost, so it is refused.
    torch.save(attending.state_dict(), tmp_path / "b.pth")
    with pytest.raises(TrainError, match=r"backbone\.attention\..* and absent here"):
        load_weights(plain, tmp_path / "b.pth")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"channels": 24}, id="width"),
        pytest.param({"prototype_count": 4}, id="prototypes"),
    ],
)
def test_another_network_is_refused_with_what_differs(other, tmp_path, change):
    torch.save(other.state_dict(), tmp_path / "a.pth")
    with pytest.raises(TrainError, match=r"does not fit this network: .* there and .* here"):
        load_weights(Yolact(replace(tiny_config(), **change)), tmp_path / "a.pth")


def test_a_checkpoint_of_another_family_member_is_refused(other, tmp_path):
    torch.save(other.state_dict(), tmp_path / "a.pth")
    with pytest.raises(TrainError, match=r"and .* more"):
        load_weights(Yolact(get_config("yolact-resnet50")), tmp_path / "a.pth")
