"""The light pair's networks: shapes, sizes, how they begin."""

import pytest
import torch

from maskstream.engines.errors import EngineError
from maskstream.engines.networks.fcn.network import Fcn8s
from maskstream.engines.networks.yolact.backbones import load_nanodet_shufflenet
from maskstream.engines.networks.yolact.weights import read_state
from maskstream.engines.networks.yolo_fcn.config import DETECTORS, FCNS, make_detector, make_fcn
from maskstream.engines.networks.yolo_fcn.light import LightFcn, make_light_yolo
from maskstream.engines.networks.yolov3.network import make_cells


@pytest.mark.parametrize("side", [96, 416])
def test_the_detector_gives_a_row_for_each_anchor_of_each_cell(side):
    with torch.device("meta"):
        network = make_light_yolo(3, side)
    rows = network(torch.zeros((2, side, side, 3), device="meta"))
    assert rows.shape == (2, len(make_cells(network.heads, side).corners), 8)


def test_an_untrained_detector_believes_in_nothing():
    torch.manual_seed(0)
    network = make_light_yolo(1, 96).eval()
    with torch.inference_mode():
        rows = network(torch.randint(0, 256, (1, 96, 96, 3), dtype=torch.uint8))
    assert torch.sigmoid(rows[..., 4]).mean().item() == pytest.approx(0.01, rel=0.1)


def test_the_fcn_says_object_or_not_at_half_the_crops_side():
    network = LightFcn()
    assert network(torch.zeros((2, 112, 112, 3), dtype=torch.uint8)).shape == (2, 2, 56, 56)
    assert (network.crop_px, network.mask_px) == (112, 56)


def test_both_together_are_small():
    values = sum(p.numel() for n in (make_light_yolo(1), LightFcn()) for p in n.parameters())
    assert 4 * values < 8e6  # bytes


def test_a_released_body_fits_both(shared_dir):
    path = shared_dir / "data" / "weights" / "shufflenet_v2_x1_0_nanodet_m_416.pth"
    for network in (make_light_yolo(1).body, LightFcn()):
        load_nanodet_shufflenet(network.get_submodule("backbone"), read_state(path))


def test_configurations_make_what_they_name():
    with torch.device("meta"):
        for name, config in DETECTORS.items():
            network = make_detector(config)
            assert (network.input_size, network.class_count) == (
                config.input_size, config.class_count,
            ), name  # fmt: skip
        for name, of_fcn in FCNS.items():
            assert make_fcn(of_fcn).crop_px == of_fcn.input_size, name
        fcn = make_fcn(FCNS["fcn8s-atonce"])
    assert isinstance(fcn, Fcn8s)
    assert fcn.is_at_once


def test_unknown_names_list_the_known():
    config = DETECTORS["yolov3"]
    unknown = type(config)(name="yolov9", input_size=416, class_count=1)
    with pytest.raises(
        EngineError, match=r"yolov9: no such detector; use one of yolo-light, yolov3"
    ):
        make_detector(unknown)
