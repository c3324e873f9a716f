"""Beginning with an engine file: the norms come back, and the network says what the engine says."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from maskstream.engines.networks.yolact.detect import YolactDetector
from maskstream.engines.networks.yolact.network import Yolact
from maskstream.engines.networks.yolo_fcn.config import DETECTORS, FCNS, make_detector, make_fcn
from maskstream.engines.networks.yolo_fcn.export import export_pair, pair_manifest
from maskstream.engines.networks.yolov3.detect import YoloDetector
from maskstream.train.errors import TrainError
from maskstream.train.loop.from_engine import engine_state, is_engine, settle_norms
from maskstream.train.loop.initial import given_tensors, load_weights
from tests.helpers.engines.tiny import tiny_config, tiny_engine_file


def noise(seed: int, count: int = 8, side: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def rows_of_file(frames: torch.Tensor) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(tiny_engine_file()))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"frames": frames.numpy()}), strict=True))


@pytest.fixture
def begun():
    """A network that has begun with the engine."""
    network = Yolact(tiny_config())
    load_weights(network, tiny_engine_file())
    return network


def check_it_says_what_the_engine_says(network: Yolact) -> None:
    frames = noise(1, 2)
    with torch.inference_mode():
        found = YolactDetector(network)(frames)
    for name, expected in rows_of_file(frames).items():
        given = getattr(found, name).numpy()
        np.testing.assert_allclose(given, expected, atol=2e-4, err_msg=name)


def test_the_network_says_what_the_engine_says_before_and_after_it_has_settled(begun):
    check_it_says_what_the_engine_says(begun)
    settle_norms(begun, YolactDetector(begun), [noise(2), noise(3)])
    check_it_says_what_the_engine_says(begun)


def test_its_norms_have_the_statistics_of_what_they_see(begun):
    settle_norms(begun, YolactDetector(begun), [noise(2)])
    seen: dict[str, torch.Tensor] = {}
    norm = begun.backbone.conv1[1]
    norm.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))
    with torch.inference_mode():
        begun(noise(2))
    expected_mean = seen["x"].double().mean(dim=(0, 2, 3)).float()
    expected_variance = seen["x"].double().var(dim=(0, 2, 3), unbiased=False).float()
    torch.testing.assert_close(norm.running_mean, expected_mean, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(norm.running_var, expected_variance, rtol=1e-3, atol=1e-3)


def test_it_says_the_same_in_training(begun):
    """There norms use the batch's own statistics, here those of the batch that they settled on."""
    settle_norms(begun, YolactDetector(begun), [noise(2)])
    with torch.inference_mode():
        expected = begun.eval()(noise(2))
        given = begun.train()(noise(2))
    torch.testing.assert_close(given.prototypes, expected.prototypes, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(given.logits, expected.logits, rtol=1e-3, atol=1e-3)


def test_what_engines_do_without_begins_anew_and_is_named():
    names = load_weights(Yolact(tiny_config()), tiny_engine_file())
    assert names == ["semantic_seg_conv.weight", "semantic_seg_conv.bias"]


def test_layers_for_other_classes_begin_anew_and_are_named():
    names = load_weights(Yolact(tiny_config(class_count=5)), tiny_engine_file())
    assert names[:2] == [
        "prediction_layers.0.conf_layer.weight",
        "prediction_layers.0.conf_layer.bias",
    ]


@pytest.mark.slow
def test_each_half_of_a_pair_is_found_in_its_file(tmp_path):
    torch.manual_seed(0)
    detector, fcn = make_detector(DETECTORS["yolo-light"]), make_fcn(FCNS["fcn-light"])
    with torch.no_grad():  # equal statistics would be one tensor in the file
        fcn.train()(noise(5, side=112))
        detector.train()(noise(6, 4, 416))
    path = tmp_path / "pair.onnx"
    whole = YoloDetector(detector.eval())
    export_pair(whole, fcn.eval(), pair_manifest(whole, fcn, ("person",)), path)
    others = make_detector(DETECTORS["yolo-light"]), make_fcn(FCNS["fcn-light"])
    for network, other, side in zip((detector, fcn), others, (416, 112), strict=True):
        other.load_state_dict(dict(given_tensors(other, path)))
        frames = noise(4, 2, side)
        with torch.inference_mode():
            torch.testing.assert_close(other.eval()(frames), network(frames), rtol=1e-3, atol=1e-3)


def test_files_that_are_no_engine_of_the_network_are_refused(tmp_path):
    assert is_engine(tiny_engine_file())
    (tmp_path / "text.onnx").write_text("no")
    with pytest.raises(TrainError, match=r"text\.onnx: cannot be read as ONNX"):
        engine_state(tmp_path / "text.onnx", Yolact(tiny_config()))
    with pytest.raises(TrainError, match="none of this network's tensors"):
        engine_state(tiny_engine_file(), make_fcn(FCNS["fcn8s"]))
    with pytest.raises(TrainError, match="does not fit this network"):
        load_weights(Yolact(replace(tiny_config(), channels=24)), tiny_engine_file())
