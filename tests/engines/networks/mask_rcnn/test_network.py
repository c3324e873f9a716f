"""The family's networks are torchvision's, with predictors for any number of classes."""

import pytest
import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2

from maskstream.engines.errors import EngineError
from maskstream.engines.networks.mask_rcnn.config import CONFIGS, get_config
from maskstream.engines.networks.mask_rcnn.network import MaskRcnn, replace_predictors
from tests.helpers.engines.tiny_mask_rcnn import tiny_config

NEW = (
    "roi_heads.box_predictor.cls_score",
    "roi_heads.box_predictor.bbox_pred",
    "roi_heads.mask_predictor",
)


@pytest.mark.parametrize("make", [maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2])
def test_replacing_predictors_keeps_all_other_weights(make):
    network = make(weights=None, weights_backbone=None, num_classes=91)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    replace_predictors(network, 10)
    after = network.state_dict()
    assert after.keys() == before.keys()
    changed = {name for name in before if not torch.equal(after[name], before[name])}
    assert changed
    assert all(name.startswith(NEW) for name in changed)


def test_boxes_and_masks_are_told_for_the_new_classes():
    """A course's project replaced the box predictor alone, and masks kept COCO's 91 channels."""
    network = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91)
    replace_predictors(network, 10)
    heads = network.roi_heads
    assert heads.box_predictor.cls_score.out_features == 11
    assert heads.box_predictor.bbox_pred.out_features == 4 * 11
    assert heads.mask_predictor.mask_fcn_logits.out_channels == 11


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("mask-rcnn-resnet50", maskrcnn_resnet50_fpn),
        ("mask-rcnn-resnet50-v2", maskrcnn_resnet50_fpn_v2),
    ],
)
def test_the_large_networks_have_torchvisions_tensors(name, make):
    ours = MaskRcnn(get_config(name)).network.state_dict()
    theirs = make(weights=None, weights_backbone=None, num_classes=81).state_dict()
    shapes = {name: value.shape for name, value in theirs.items()}
    assert {name: value.shape for name, value in ours.items()} == shapes


def test_anchors_grow_with_the_input():
    model = MaskRcnn(tiny_config(input_size=160))
    anchors = [
        level.anchors
        for level in model.eval().look(
            model.pyramid(torch.zeros(1, 160, 160, 3, dtype=torch.uint8))
        )
    ]
    # Three at each of 40 * 40 cells, and so on; a square one of a fifth of 32 pixels, rounded.
    assert [len(level) for level in anchors] == [3 * side**2 for side in (40, 20, 10, 5, 3)]
    assert anchors[0][1].tolist() == [-3, -3, 3, 3]


@pytest.mark.parametrize(
    ("variant", "channels"),
    [
        pytest.param("", 4, id="per-class"),
        pytest.param("+softmax", 4, id="per-class-softmax"),
        pytest.param("+agnostic", 1, id="agnostic"),
        pytest.param("+agnostic+softmax", 2, id="agnostic-softmax"),
    ],
)
def test_mask_channels_of_variants(variant, channels):
    model = MaskRcnn(tiny_config(f"mask-rcnn-mini-strided{variant}"))
    assert model.network.roi_heads.mask_predictor.mask_fcn_logits.out_channels == channels


def test_an_unknown_network_is_told_the_known():
    with pytest.raises(EngineError, match=r"mask-rcnn-mini, "):
        get_config("mask-rcnn-huge")
    with pytest.raises(EngineError, match="roipool"):
        get_config("mask-rcnn-mini+roicrop")
    assert set(CONFIGS) == {config.name for config in CONFIGS.values()}
