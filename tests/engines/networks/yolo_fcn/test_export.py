"""A pair as one file: what it finds, and that all runtimes say what torch says."""

import numpy as np
import onnx
import pytest
import torch

from maskstream.engines import open_engine, read_manifest
from maskstream.engines.backends import open_backend
from maskstream.engines.decoding.crops import RgbPicture
from maskstream.engines.errors import BackendError, EngineFileError
from maskstream.engines.files.onnx_parts import split_graphs
from maskstream.engines.interface.backend import BackendOptions
from maskstream.engines.interface.fit import fitted
from maskstream.engines.networks.fcn.network import Fcn8s
from maskstream.engines.networks.yolo_fcn.export import (
    CropProbabilities,
    export_pair,
    pair_manifest,
)
from maskstream.engines.networks.yolo_fcn.light import LightFcn, make_light_yolo
from maskstream.engines.networks.yolov3.detect import YoloDetections, YoloDetector
from maskstream.engines.runtimes.tensorrt.builder import BuildSettings, build_plan
from maskstream.engines.runtimes.tensorrt.flavors import get_flavor
from tests.engines.networks.fcn.test_network import NARROW
from tests.helpers.engines.hand_made import (
    CLASS_NAMES,
    CROP_PX,
    SIDE_PX,
    hand_made_detector,
    hand_made_file,
)

RUNTIMES = ("openvino", "onnxruntime")


@pytest.fixture(scope="module")
def pair():
    with open_engine(str(hand_made_file()), threads=1, batch=2) as engine:
        yield engine


def frame_of(*squares, width=128, height=96):
    """Return an RGB frame, black but for squares (left, top, side, color)."""
    rgb = np.zeros((height, width, 3), np.uint8)
    for left, top, side, color in squares:
        rgb[top : top + side, left : left + side] = color
    return rgb


def detect(engine, frames, **options):
    pictures = [RgbPicture(frame) for frame in frames]
    inputs = np.stack([fitted(frame, SIDE_PX, "letterbox") for frame in frames])
    sizes = [(frame.shape[1], frame.shape[0]) for frame in frames]
    return engine.detect(inputs, sizes, pictures=pictures, **options)


RED, BLUE = (255, 0, 0), (0, 0, 255)


def test_the_manifest_says_how_crops_are_cut():
    manifest = read_manifest(hand_made_file())
    assert (manifest.family, manifest.fit) == ("yolo-fcn", "letterbox")
    assert (manifest.crop_px, manifest.patch_px, manifest.crop_margin) == (CROP_PX, CROP_PX, 0.25)
    assert manifest.class_names == CLASS_NAMES


def test_objects_of_all_frames_are_found_and_masked(pair):
    # An input pixel is two of the frame's, and the letterbox puts 8 rows above it.
    frames = [frame_of((32, 16, 16, RED), (96, 64, 16, BLUE)), frame_of()]
    found, nothing = detect(pair, frames, score_min=0.6)
    assert len(nothing) == 0
    assert sorted(found.class_ids.tolist()) == [0, 1]
    red, blue = np.argsort(found.class_ids)
    np.testing.assert_allclose(found.boxes_xyxy_src[red], [24, 8, 56, 40], atol=0.5)
    np.testing.assert_allclose(found.boxes_xyxy_src[blue], [88, 56, 120, 88], atol=0.5)
    for index, (left, top) in ((red, (32, 16)), (blue, (96, 64))):
        x, y, _, _ = found.extents_xyxy_src[index]
        mask = found.mask(int(index))
        assert mask.sum() == pytest.approx(16 * 16, rel=0.15)
        assert mask[top - y + 2 : top - y + 14, left - x + 2 : left - x + 14].all()
        assert mask.shape == (48, 48)  # a quarter of the box on each side


def test_classes_and_scores_are_filtered(pair):
    frame = frame_of((32, 16, 16, RED), (96, 64, 16, BLUE))
    (found,) = detect(pair, [frame], score_min=0.6, class_ids=frozenset({1}))
    assert found.class_ids.tolist() == [1]
    assert len(detect(pair, [frame], score_min=0.9999999)[0]) == 0


def test_an_object_at_the_corner_is_masked_up_to_the_border(pair):
    (found,) = detect(pair, [frame_of((112, 80, 16, RED))], score_min=0.6)
    assert found.extents_xyxy_src[0, 2:].tolist() == [128, 96]
    assert found.mask(0)[-1, -1] == 1


def test_without_pictures_crops_come_from_the_input(pair):
    frame = frame_of((32, 16, 16, RED))
    (found,) = pair.detect(fitted(frame, SIDE_PX, "letterbox")[None], [(128, 96)], score_min=0.6)
    assert found.mask(0).sum() == pytest.approx(16 * 16, rel=0.3)


def test_crops_beyond_the_limit_are_counted(pair):
    squares = [(16 * column, 16 * row, 16, RED) for column in (1, 4) for row in (1, 3)]
    before = pair.left_out_count
    (found,) = detect(pair, [frame_of(*squares)], score_min=0.6, max_crops=3)
    assert len(found) == 3
    assert pair.left_out_count - before == 1


def test_the_file_is_a_sound_model_and_so_is_each_graph():
    whole = onnx.load(hand_made_file())
    onnx.checker.check_model(whole, full_check=True)
    assert [value.name for value in whole.graph.input] == ["frames", "crops"]
    parts = split_graphs(hand_made_file())
    assert list(parts) == ["frames", "crops"]
    nodes = 0
    for name, outputs in (("frames", list(YoloDetections._fields)), ("crops", ["masks"])):
        model = onnx.load_from_string(parts[name])
        onnx.checker.check_model(model, full_check=True)
        assert [value.name for value in model.graph.input] == [name]
        assert [value.name for value in model.graph.output] == outputs
        assert model.metadata_props == whole.metadata_props
        nodes += len(model.graph.node)
    assert nodes == len(whole.graph.node)


def test_files_that_are_no_models_are_not_split(tmp_path):
    path = tmp_path / "x.onnx"
    with pytest.raises(EngineFileError, match="cannot be read"):
        split_graphs(path)
    path.write_bytes(hand_made_file().read_bytes()[:2000])
    with pytest.raises(EngineFileError, match="is cut short, or no ONNX model"):
        split_graphs(path)
    path.write_bytes(b"")
    with pytest.raises(EngineFileError, match="holds no graph"):
        split_graphs(path)


def lively(network, *inputs):
    """Let batch norms see what passes through them, and heads differ from row to row."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
        elif isinstance(module, torch.nn.Conv2d) and module.weight.std() < 0.02:
            torch.nn.init.normal_(module.weight, std=0.3)
    with torch.no_grad():
        network.train()(*inputs)
    return network.eval()


def noise(count, side, seed):
    """Return pictures of coloured cells of 8 x 8 pixels."""
    cells = np.random.default_rng(seed).integers(0, 256, (count, side // 8, side // 8, 3), np.uint8)
    return cells.repeat(8, axis=1).repeat(8, axis=2)


def pair_of(kind):
    """Return a detector and an FCN of one make, small where they can be."""
    if kind == "light":
        yolo = lively(make_light_yolo(2, 96), torch.from_numpy(noise(4, 96, 0)))
        return YoloDetector(yolo), lively(LightFcn(), torch.from_numpy(noise(8, 112, 1)))
    fcn = Fcn8s(2, crop_px=32, stages=NARROW, fc_channels=8)
    for parameter in fcn.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return hand_made_detector(), fcn.eval()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["light", "fcn8s"])
def test_both_graphs_say_in_every_runtime_what_torch_says_and_build_for_tensorrt(kind, tmp_path):
    detector, fcn = pair_of(kind)
    path = tmp_path / "x.onnx"
    manifest = pair_manifest(detector, fcn, ("a", "b"))
    export_pair(detector, fcn, manifest, path)
    parts = split_graphs(path)
    cases = {
        "frames": (detector, YoloDetections._fields, manifest.input_size),
        "crops": (CropProbabilities(fcn), ("masks",), manifest.crop_px or 0),
    }
    for name, (module, outputs, side) in cases.items():
        options = BackendOptions(input_size=side, precision="fp32")
        for runtime in RUNTIMES:
            backend, _ = open_backend(parts[name], options, backend=runtime)
            for count in (1, 3):
                given = noise(count, side, 2)
                with torch.inference_mode():
                    said = module(torch.from_numpy(given))
                rows = said if isinstance(said, tuple) else (said,)
                _assert_same(backend.infer(given), dict(zip(outputs, rows, strict=True)))
            backend.close()
        _assert_builds_for_tensorrt(parts[name], name)


def _assert_same(theirs, ours):
    for output in {"masks", "scores"} & set(ours):
        assert float(ours[output].std()) > 1e-3
        np.testing.assert_allclose(theirs[output], ours[output].numpy(), atol=2e-3)
    if "boxes" in ours:
        _assert_same_rows(theirs, ours)


def _assert_same_rows(theirs, ours):
    """Rows of all but equal scores may change places, so each has its like somewhere.

    Not quite each: where an overlap is all but the limit, rounding decides whether a box stays.
    """
    same = (
        (theirs["class_ids"][:, :, None] == ours["class_ids"].numpy()[:, None])
        & (np.abs(theirs["scores"][:, :, None] - ours["scores"].numpy()[:, None]) < 2e-3)
        & (np.abs(theirs["boxes"][:, :, None] - ours["boxes"].numpy()[:, None]) < 2e-3).all(-1)
    )
    counts = theirs["scores"] > 0.01
    assert same.any(axis=2)[counts].mean() > 0.9


def _assert_builds_for_tensorrt(graph, subject):
    """TensorRT for RTX builds on a machine without a GPU."""
    settings = BuildSettings(batches=(1, 4), sm="sm89")
    assert len(build_plan(graph, get_flavor("tensorrt-rtx"), settings, subject=subject)) > 1000


def test_a_file_of_which_one_graph_is_damaged_says_which(tmp_path):
    def damaged(change):
        model = onnx.load(hand_made_file())
        change(model.graph)
        path = tmp_path / "damaged.onnx"
        onnx.save(model, path)
        return str(path)

    def without_nodes(graph):
        kept = [node for node in graph.node if not node.name.startswith("crops/")]
        del graph.node[:]
        graph.node.extend(kept)

    def without_weights(graph):
        kept = [each for each in graph.initializer if not each.name.startswith("crops/")]
        del graph.initializer[:]
        graph.initializer.extend(kept)

    def without_input(graph):
        without_nodes(graph)
        del graph.input[1], graph.output[-1]

    for change, error, words in (
        (without_nodes, EngineFileError, r"damaged\.onnx: is no engine \(nothing comes of its"),
        (without_weights, BackendError, r"damaged\.onnx, from crops: OpenVINO refuses the graph"),
        (without_input, EngineFileError, r"damaged\.onnx: has no graph that takes crops"),
    ):
        with pytest.raises(error, match=words):
            open_engine(damaged(change), backend="openvino", batch=1)
