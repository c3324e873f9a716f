"""Initial values of the backbones from other people's networks."""

from typing import Any

import pytest
import torch
from torchvision.models import resnet50

from maskstream.engines.networks.yolact.backbones import (
    load_classifier,
    load_nanodet_shufflenet,
    make_backbone,
)
from maskstream.engines.networks.yolact.config import get_config


@pytest.mark.parametrize("name", ["yolact-light", "yolact-se-light"])
def test_a_detectors_shufflenet_is_turned_from_bgr_to_rgb(name):
    given: Any = make_backbone(get_config("yolact-light"))
    ours: Any = make_backbone(get_config(name))
    load_nanodet_shufflenet(ours, given.state_dict())
    assert torch.equal(ours.conv1[0].weight, given.conv1[0].weight.flip(1))
    assert torch.equal(ours.stage4[3].branch2[5].weight, given.stage4[3].branch2[5].weight)


def test_a_classifiers_resnet_gives_the_same_maps():
    theirs = resnet50().eval()
    ours = make_backbone(get_config("yolact-se-resnet50")).eval()
    load_classifier(ours, theirs.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images))))
        for stage, found in zip(
            (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4), ours(images), strict=True
        ):
            x = stage(x)
            assert torch.equal(found, x)


def test_a_classifiers_resnet_fills_the_deformable_layers_too():
    theirs = resnet50()
    ours: Any = make_backbone(get_config("yolact-plus-resnet50"))
    load_classifier(ours, theirs.state_dict())
    layer = ours.layers[3][2].conv2
    assert torch.equal(layer.weight, theirs.layer4[2].conv2.weight)
    assert layer.conv_offset_mask.weight.abs().max() == 0


def test_a_darknet_is_loaded_by_its_own_names():
    given = make_backbone(get_config("yolact-darknet53"))
    ours: Any = make_backbone(get_config("yolact-darknet53"))
    load_classifier(ours, given.state_dict())
    assert all(torch.equal(ours.state_dict()[k], v) for k, v in given.state_dict().items())


def test_another_network_is_refused():
    with pytest.raises(RuntimeError, match="Missing key"):
        load_classifier(
            make_backbone(get_config("yolact-base")),
            make_backbone(get_config("yolact-resnet50")).state_dict(),
        )
