"""Darknet's layers by hand-worked numbers, and the tables of the three known networks."""

import numpy as np
import pytest
import torch

from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.yolov3.cfg import parse_cfg
from maskstream.engines.networks.yolov3.darknet import (
    Convolution,
    DarknetNetwork,
    keep_classes,
    make_yolo,
)
from maskstream.engines.networks.yolov3.known import KNOWN_CFGS, yolov3_cfg

HEAD = "[convolutional]\nfilters=7\nsize=1\nactivation=linear\n[yolo]\nanchors=4,8\nclasses=2\n"


def network_of(layers, head=HEAD):
    return DarknetNetwork(parse_cfg(f"[net]\nwidth=32\nheight=32\n{layers}\n{head}", where="x.cfg"))


def on_meta(name, class_count=80, side=416):
    with torch.device("meta"):
        return make_yolo(KNOWN_CFGS[name](class_count, side))


@pytest.mark.parametrize(
    ("name", "layers", "convolutions", "values", "rows"),
    [
        # Values are what the published files hold: (bytes - 20) / 4.
        ("yolov3", 107, 75, (248_007_048 - 20) // 4, 10_647),
        ("yolov3-spp", 114, 76, 63_052_381, 10_647),
        ("yolov3-tiny", 24, 13, (35_434_956 - 20) // 4, 2_535),
    ],
)
def test_known_networks_have_the_published_layers_and_values(
    name, layers, convolutions, values, rows
):
    network = on_meta(name)
    body = network.body
    assert len(body.layers) == layers
    assert sum(isinstance(layer, Convolution) for layer in body.layers) == convolutions
    state = body.state_dict().items()
    assert sum(value.numel() for key, value in state if "num_batches" not in key) == values
    assert network(torch.zeros((1, 416, 416, 3), device="meta")).shape == (1, rows, 85)


def test_the_first_52_convolutions_of_yolov3_are_the_published_body():
    body = on_meta("yolov3").body
    first = [layer for layer in list(body.layers)[:75] if isinstance(layer, Convolution)]
    values = sum(
        value.numel()
        for layer in first
        for key, value in layer.state_dict().items()
        if "num_batches" not in key
    )
    assert len(first) == 52
    assert 20 + 4 * values == 162_482_580
    assert values == 40_620_640


def test_routes_of_yolov3_reach_back_to_layers_61_and_36():
    cfg = yolov3_cfg()
    assert [cfg.layers[i].integers("layers") for i in (86, 98)] == [(-1, 61), (-1, 36)]
    # 256 + 512 and 128 + 256 channels go on.
    body = on_meta("yolov3").body
    assert [body.layers[i].conv.in_channels for i in (87, 99)] == [768, 384]


def test_a_route_takes_maps_in_the_order_in_which_they_are_listed():
    network = network_of(
        "[convolutional]\nfilters=2\nsize=1\n[maxpool]\nsize=1\n[route]\nlayers=0,1"
    )
    x = torch.arange(8.0).view(1, 2, 2, 2)
    joined = network.layers[2]([x, -x])
    np.testing.assert_array_equal(joined[0, :, 0, 0], [0, 4, 0, -4])


def test_a_grouped_route_takes_one_group():
    network = network_of(
        "[convolutional]\nfilters=4\nsize=1\n[route]\nlayers=-1\ngroups=2\ngroup_id=1"
    )
    x = torch.arange(4.0).view(1, 4, 1, 1)
    np.testing.assert_array_equal(network.layers[1]([x]).flatten(), [2, 3])


def test_upsampling_repeats_each_value():
    network = network_of("[convolutional]\nfilters=1\nsize=1\nstride=2\n[upsample]\nstride=2")
    up = network.layers[1](torch.tensor([[[[1.0, 2.0]]]]))
    np.testing.assert_array_equal(up[0, 0], [[1, 1, 2, 2], [1, 1, 2, 2]])
    assert network.heads[0].stride == 1


@pytest.mark.parametrize(
    ("size", "stride", "expected"),
    [
        (2, 1, [2, 3, 3]),  # padded on the right: as many as before
        (2, 2, [2, 3]),  # odd sides round up
        (3, 1, [2, 3, 3]),
    ],
)
def test_maxima_are_padded_as_darknet_does(size, stride, expected):
    network = network_of(f"[maxpool]\nsize={size}\nstride={stride}")
    row = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 1, 3).expand(1, 1, 3, 3)
    np.testing.assert_array_equal(network.layers[0](row)[0, 0, 0], expected)


def test_maxima_of_negative_maps_stay_negative():
    network = network_of("[maxpool]\nsize=5\nstride=1")
    assert float(network.layers[0](torch.full((1, 1, 4, 4), -3.0)).max()) == -3


@pytest.mark.parametrize(
    ("layers", "head", "expected"),
    [
        ("[crnn]", HEAD, r"x\.cfg, line 4: \[crnn\] cannot be read; convolutional, maxpool"),
        (
            "[route]\nlayers=-1",
            HEAD,
            r"line 4: \[route\] is layer 0 and takes layer -1; an earlier",
        ),
        ("[route]\nlayers=5", HEAD, "takes layer 5; an earlier one is needed"),
        ("[convolutional]\nfilters=3\ngroups=2", HEAD, "2 groups of 3 channels to 3; groups must"),
        ("[convolutional]\nactivation=elu", HEAD, "activation 'elu'; one of leaky, linear"),
        (
            "[convolutional]\nfilters=8\n[convolutional]\nfilters=4\n[shortcut]\nfrom=-2",
            HEAD,
            "adds maps of 4 and 8 channels; equal numbers",
        ),
        ("", "[yolo]\nanchors=4,8\nclasses=2", r"3 channels reach \[yolo\]; 1 anchors need 7"),
        (
            "",
            HEAD.replace("4,8", "4"),
            "its 1 anchor numbers make 0 pairs for mask 0; each must name a pair",
        ),
        ("[dropout]", "", r"x\.cfg, line 1: has no \[yolo\] layer; a YOLO detector is needed"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_its_line(layers, head, expected):
    with pytest.raises(WeightsError, match=expected):
        network_of(layers, head)


def test_an_input_that_is_no_square_is_refused():
    cfg = parse_cfg(f"[net]\nwidth=64\nheight=32\n{HEAD}", where="x.cfg")
    with pytest.raises(WeightsError, match="its input is 64 x 32; a square"):
        make_yolo(cfg)


def test_kept_classes_say_what_they_said_before():
    torch.manual_seed(0)
    layers = "[convolutional]\nfilters=6\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    head = HEAD.replace("filters=7", "filters=18").replace("4,8", "4,8,6,6").replace("=2\n", "=4\n")
    network = make_yolo(parse_cfg(f"[net]\nwidth=8\nheight=8\n{layers}{head}", where="x.cfg"))
    frames = torch.randint(0, 256, (1, 8, 8, 3), dtype=torch.uint8)
    before = network(frames)
    keep_classes(network, [1, 3])
    after = network(frames)
    assert after.shape == (1, 4 * 4 * 2, 7)
    torch.testing.assert_close(after, before[..., [0, 1, 2, 3, 4, 6, 8]])
