"""Darknet's weights files, value by value, whole, too short and too long."""

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from maskstream.engines.errors import WeightsError
from maskstream.engines.files.class_names import COCO
from maskstream.engines.interface.fit import fitted, make_fit
from maskstream.engines.networks.yolov3.cfg import parse_cfg, read_cfg
from maskstream.engines.networks.yolov3.darknet import Convolution, DarknetNetwork, make_yolo
from maskstream.engines.networks.yolov3.detect import YoloDetector
from maskstream.engines.networks.yolov3.known import yolov3_cfg
from maskstream.engines.networks.yolov3.weights import load_weights

SMALL = """[net]
width=8
height=8
[convolutional]
batch_normalize=1
filters=2
size=3
pad=1
activation=leaky
[convolutional]
filters=7
size=1
activation=linear
[yolo]
anchors=2,2
classes=2
"""
NEW_HEADER = struct.pack("<3iq", 0, 2, 0, 32_013_312)
OLD_HEADER = struct.pack("<4i", 0, 1, 0, 1000)
SMALL_COUNT = 2 * 4 + 2 * 3 * 9 + 7 + 7 * 2


def small_network():
    return DarknetNetwork(parse_cfg(SMALL, where="small.cfg"))


def write(path, header, count):
    path.write_bytes(header + np.arange(count, dtype="<f4").tobytes())
    return path


def in_file_order(network):
    """Return all values of a network in the order in which Darknet writes them."""
    parts: list[torch.Tensor] = []
    for layer in network.layers:
        if isinstance(layer, Convolution):
            if layer.norm is None:
                parts.append(layer.conv.get_parameter("bias"))
            else:
                parts += [layer.norm.bias, layer.norm.weight]
                parts += [layer.norm.get_buffer(f"running_{name}") for name in ("mean", "var")]
            parts.append(layer.conv.weight)
    return np.concatenate([part.detach().numpy().reshape(-1) for part in parts])


@pytest.mark.parametrize("header", [NEW_HEADER, OLD_HEADER], ids=["20 bytes", "16 bytes"])
def test_both_headers_are_read(tmp_path, header):
    network = small_network()
    load_weights(network, write(tmp_path / "x.weights", header, SMALL_COUNT))
    norm = network.layers[0].norm
    np.testing.assert_array_equal(norm.bias.detach(), [0, 1])
    np.testing.assert_array_equal(norm.weight.detach(), [2, 3])
    np.testing.assert_array_equal(norm.running_mean, [4, 5])
    np.testing.assert_array_equal(norm.running_var, [6, 7])
    assert network.layers[0].conv.weight[1, 2, 0, 1].item() == 8 + 27 + 2 * 9 + 1
    np.testing.assert_array_equal(in_file_order(network), np.arange(SMALL_COUNT))


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (3, r"ends in layer 0 \(small\.cfg, line 4\), 1 values short"),
        (8 + 53, r"ends in layer 0 \(small\.cfg, line 4\), 1 values short"),
        (SMALL_COUNT - 14, r"ends in layer 1 \(small\.cfg, line 10\), 14 values short"),
        (SMALL_COUNT + 5, r"goes on for 5 values after layer 1 \(small\.cfg, line 10\)"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_the_layer(tmp_path, count, expected):
    path = write(tmp_path / "x.weights", NEW_HEADER, count)
    with pytest.raises(WeightsError, match=expected):
        load_weights(small_network(), path)


def test_files_that_are_no_weights_are_refused(tmp_path):
    path = tmp_path / "x.weights"
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(small_network(), path)
    path.write_bytes(b"short")
    with pytest.raises(WeightsError, match=r"has 5 bytes; a Darknet \.weights file is needed"):
        load_weights(small_network(), path)
    path.write_bytes(NEW_HEADER + b"\0\0\0")
    with pytest.raises(WeightsError, match="has 23 bytes; 20 of a header and a multiple of 4"):
        load_weights(small_network(), path)
    path.write_bytes(NEW_HEADER)
    with pytest.raises(WeightsError, match=r"ends in layer 0 .*, 2 values short"):
        load_weights(small_network(), path)


def test_a_file_of_the_first_layers_alone_is_read_where_it_is_asked_for(tmp_path):
    path = write(tmp_path / "x.conv.1", NEW_HEADER, 62)
    network = small_network()
    load_weights(network, path, layer_count=1)
    np.testing.assert_array_equal(in_file_order(network)[:62], np.arange(62))


def test_a_file_of_yolov3s_size_is_read_value_by_value(tmp_path):
    path = tmp_path / "yolov3.weights"
    values = np.arange(62_001_757, dtype="<i4").view("<f4")  # every value another one
    with path.open("wb") as file:
        file.write(NEW_HEADER)
        values.tofile(file)
    assert path.stat().st_size == 248_007_048
    with torch.device("meta"):
        network = DarknetNetwork(yolov3_cfg())
    network.to_empty(device="cpu")
    load_weights(network, path)
    path.unlink()
    np.testing.assert_array_equal(in_file_order(network).view("<i4"), values.view("<i4"))


@pytest.fixture(scope="module")
def real_detector(shared_dir):
    folder = shared_dir / "data" / "weights"
    network = make_yolo(read_cfg(folder / "yolo-fastest-1.1.cfg"))
    assert isinstance(network.body, DarknetNetwork)
    load_weights(network.body, folder / "yolo-fastest-1.1.weights")
    return YoloDetector(network)


def test_a_real_file_is_read_to_its_last_byte(real_detector, shared_dir):
    size = (shared_dir / "data" / "weights" / "yolo-fastest-1.1.weights").stat().st_size
    body = real_detector.network.body
    assert 20 + 4 * in_file_order(body).size == size
    assert body.layers[2].conv.groups == 8
    norms = [layer.norm for layer in body.layers if isinstance(layer, Convolution) and layer.norm]
    variances = [norm.get_buffer("running_var") for norm in norms]
    assert all(float(variance.min()) >= 0 for variance in variances)  # in step to the end


def test_a_real_network_sees_the_bus_that_is_there(real_detector, shared_dir):
    folder = shared_dir / "data" / "coco80"
    truth = json.loads((folder / "val.json").read_text())
    image = next(i for i in truth["images"] if "000000466547" in i["file_name"])
    name = Path(image["file_name"]).name
    bgr = cv2.imread(str(folder / "images" / name))
    rgb = np.asarray(bgr, np.uint8)[..., ::-1]
    with torch.inference_mode():
        found = real_detector(torch.from_numpy(fitted(rgb, 320, "darknet"))[None])
    assert COCO[int(found.class_ids[0, 0])] == "bus"
    assert float(found.scores[0, 0]) > 0.9
    fit = make_fit("darknet", rgb.shape[1], rgb.shape[0], 320)
    left, top, right, bottom = fit.to_frame(found.boxes[0, :1].numpy())[0]
    bus_id = next(c["id"] for c in truth["categories"] if c["name"] == "bus")
    overlaps = []
    for annotation in truth["annotations"]:
        if (annotation["image_id"], annotation["category_id"]) == (image["id"], bus_id):
            x, y, w, h = annotation["bbox"]
            across = min(right, x + w) - max(left, x)
            down = min(bottom, y + h) - max(top, y)
            shared = max(across, 0) * max(down, 0)
            overlaps.append(shared / (w * h + (right - left) * (bottom - top) - shared))
    assert max(overlaps) > 0.6
