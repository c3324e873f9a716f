"""Released weights: COCO's classes of the 91 rows, other counts, and what is said without them."""

import pytest
import torch
from torch import nn
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from maskstream.engines.errors import WeightsError
from maskstream.engines.files.class_names import COCO as COCO_NAMES
from maskstream.engines.networks.mask_rcnn.config import get_config
from maskstream.engines.networks.mask_rcnn.network import MaskRcnn
from maskstream.engines.networks.mask_rcnn.weights import (
    COCO,
    IMAGENET,
    coco_rows,
    fetch_state,
    load_classifier,
    load_coco,
    released,
)
from tests.helpers.engines.tiny_mask_rcnn import blocks, tiny_config

PREDICTORS = [
    f"roi_heads.{name}.{kind}"
    for name in (
        "box_predictor.cls_score",
        "box_predictor.bbox_pred",
        "mask_predictor.mask_fcn_logits",
    )
    for kind in ("weight", "bias")
]


def release(body: str) -> MaskRCNN:
    """A network as torchvision builds it to take its COCO file, with weights that vary."""
    torch.manual_seed(0)
    if body == "resnet50-v2":
        network = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=91)
    else:
        # Its released norms are frozen, and without a number that keeps the variance from zero.
        pyramid = resnet_fpn_backbone(
            backbone_name="resnet50",
            weights=None,
            norm_layer=lambda channels: FrozenBatchNorm2d(channels, eps=0.0),
        )
        network = MaskRCNN(pyramid, 91)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0)
    return network.eval()


def test_the_rows_are_those_of_cocos_classes():
    for name in ("mask-rcnn-resnet50", "mask-rcnn-resnet50-v2"):
        weights = released(get_config(name), COCO)
        rows = coco_rows(weights)
        assert tuple(weights.meta["categories"][row] for row in rows) == COCO_NAMES


@pytest.mark.parametrize("body", ["resnet50", "resnet50-v2"])
def test_a_network_for_80_classes_says_what_the_released_one_says(body):
    config = tiny_config(f"mask-rcnn-{body}", class_count=80, channels=256)
    network, model = release(body), MaskRcnn(config).eval()
    rows = coco_rows(released(config, COCO))
    assert load_coco(model, network.state_dict(), rows) == []
    features, region = torch.randn(2, 1024), torch.randn(1, 256, 14, 14)
    kept = torch.tensor([0, *rows])
    with torch.inference_mode():
        frames = blocks(1)
        mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        images = (frames.permute(0, 3, 1, 2) / 255 - mean) / std
        for name, level in network.backbone(images).items():
            found = model.pyramid(frames)[name]
            torch.testing.assert_close(found, level, atol=1e-3, rtol=1e-3)
        ours, theirs = model.network.roi_heads, network.roi_heads
        scores, shifts = theirs.box_predictor(features)
        found_scores, found_shifts = ours.box_predictor(features)
        torch.testing.assert_close(found_scores, scores[:, kept])
        torch.testing.assert_close(found_shifts.view(2, 81, 4), shifts.view(2, 91, 4)[:, kept])
        masks = theirs.mask_predictor(theirs.mask_head(region))[:, kept]
        torch.testing.assert_close(ours.mask_predictor(ours.mask_head(region)), masks)


def test_for_other_classes_the_predictors_alone_begin_anew():
    network = release("resnet50")
    model = MaskRcnn(tiny_config("mask-rcnn-resnet50"))
    rows = coco_rows(released(model.config, COCO))
    assert load_coco(model, network.state_dict(), rows) == PREDICTORS
    own, given = model.network.state_dict(), network.state_dict()
    for name, value in given.items():
        if name not in PREDICTORS and not name.endswith("running_var"):
            assert torch.equal(own[name], value), name


def test_weights_of_another_network_are_refused_in_a_line():
    state = release("resnet50").state_dict()
    model = MaskRcnn(tiny_config("mask-rcnn-resnet50-v2"))
    with pytest.raises(WeightsError, match="do not fit this network") as caught:
        load_coco(model, state, ())
    assert len(str(caught.value)) < 200


def test_a_classifiers_body_is_taken_without_its_last_layer():
    model = MaskRcnn(tiny_config("mask-rcnn-resnet50"))
    state = {name: torch.full_like(v, 0.5) for name, v in model.body.state_dict().items()}
    load_classifier(model, {**state, "fc.weight": torch.zeros(1000, 2048)})
    norms = [m for m in model.body.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(torch.all(norm.state_dict()["running_var"] == 0.5) for norm in norms)


@pytest.mark.parametrize("word", [COCO, IMAGENET])
def test_mini_bodies_have_no_released_weights(word):
    with pytest.raises(WeightsError, match="mask-rcnn-mini"):
        released(get_config("mask-rcnn-mini"), word)


def test_an_address_that_is_not_reached_is_said_with_what_would_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(WeightsError, match="connection to it is needed") as caught:
        fetch_state(released(get_config("mask-rcnn-resnet50"), COCO))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_in_torchs_cache_is_taken_without_a_connection(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = released(get_config("mask-rcnn-resnet50"), IMAGENET)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({"fc.weight": torch.ones(2)}, folder / weights.url.rpartition("/")[2])
    assert fetch_state(weights)["fc.weight"].tolist() == [1, 1]
