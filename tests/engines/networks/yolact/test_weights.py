"""Released weight files: their names and shapes, and what is read and refused."""

import os
import pickle
from dataclasses import replace

import pytest
import torch

from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.yolact.config import get_config
from maskstream.engines.networks.yolact.weights import (
    config_of_file,
    expected_shapes,
    load_network,
    read_state,
)
from tests.helpers.engines.released import (
    OTHERS,
    RELEASED,
    legacy_keys,
    released_shapes,
    released_state,
)

FILE_NAME = "yolact_resnet50_54_800000.pth"
RESNET50 = get_config("yolact-resnet50")


@pytest.fixture(scope="module")
def state():
    return released_state("yolact-resnet50")


@pytest.fixture
def save(tmp_path):
    def write(content, name=FILE_NAME, **options):
        torch.save(content, tmp_path / name, **options)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", [*RELEASED, *OTHERS])
def test_names_and_shapes_are_those_of_the_released_file(name):
    assert expected_shapes(get_config(name)) == released_shapes(name)


@pytest.mark.parametrize(
    ("file_name", "config"),
    [
        ("yolact_base_54_800000.pth", "yolact-base"),
        ("yolact_resnet50_54_800000.pth", "yolact-resnet50"),
        ("yolact_darknet53_54_800000.pth", "yolact-darknet53"),
        ("yolact_im700_54_800000.pth", "yolact-im700"),
        ("yolact_plus_base_54_800000.pth", "yolact-plus-base"),
        ("yolact_plus_resnet50_54_800000.pth", "yolact-plus-resnet50"),
        ("yolact_resnet50_pascal_120_120000.pth", "yolact-resnet50-pascal"),
        ("yolact_base_3_1234_interrupt.pth", "yolact-base"),
        ("yolact_im400.pth", "yolact-im400"),
        ("weights.pth", None),
        ("yolact_resnet18_1_2.pth", None),
    ],
)
def test_the_file_name_says_the_configuration(tmp_path, file_name, config):
    found = config_of_file(tmp_path / file_name)
    assert (found and found.name) == config


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "as-in-2019"])
def test_every_tensor_is_read(state, save, is_zip):
    network = load_network(save(state, _use_new_zipfile_serialization=is_zip), RESNET50)
    loaded = network.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_leftovers_of_early_versions_and_the_prefix_of_several_devices_are_dropped(state, save):
    everything = {f"module.{key}": value for key, value in (state | legacy_keys()).items()}
    assert read_state(save(everything)).keys() == state.keys()


def test_counters_that_old_versions_of_torch_did_not_store_may_be_missing(state, save):
    few = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    loaded = load_network(save(few), RESNET50).state_dict()
    assert torch.equal(loaded["fpn.lat_layers.0.weight"], state["fpn.lat_layers.0.weight"])


def test_a_missing_a_strange_and_a_misshapen_tensor_are_named(state, save):
    wrong = dict(state)
    del wrong["proto_net.10.bias"]
    wrong["proto_net.12.bias"] = torch.zeros(1)
    wrong["fpn.lat_layers.0.weight"] = torch.zeros(256, 1024, 1, 1)
    with pytest.raises(WeightsError) as caught:
        load_network(save(wrong), RESNET50)
    text = str(caught.value)
    assert "1 missing (proto_net.10.bias)" in text
    assert "1 unknown (proto_net.12.bias)" in text
    assert "fpn.lat_layers.0.weight (256, 1024, 1, 1) where (256, 2048, 1, 1) is needed" in text
    assert text.endswith("it fits no configuration.")


def test_the_configuration_that_would_fit_is_named(state, save):
    with pytest.raises(WeightsError, match=r"it fits --arch yolact-resnet50\.$"):
        load_network(save(state), get_config("yolact-darknet53"))


def test_classes_of_ones_own_are_counted(save):
    state = released_state("yolact-base")
    for part, width in (("prediction_layers.0.conf_layer", 12), ("semantic_seg_conv", 3)):
        for kind in ("weight", "bias"):
            state[f"{part}.{kind}"] = state[f"{part}.{kind}"][:width]
    path = save(state)
    config = get_config("yolact-base")
    with pytest.raises(WeightsError, match=r"it fits --arch yolact-base or .* with 3 classes\.$"):
        load_network(path, config)
    assert load_network(path, replace(config, class_count=3)).config.class_count == 3


class Opens:
    """An object whose unpickling would leave a trace."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def test_a_file_with_code_is_refused_and_the_code_not_run(save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="could run anything"):
        read_state(save({"weight": Opens()}))
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Opens()))
    with pytest.raises(WeightsError, match="no file of PyTorch weights"):
        read_state(tmp_path / "plain.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"", "no file of PyTorch weights", id="empty"),
        pytest.param(b"<html>not found</html>", "no file of PyTorch weights", id="page"),
        pytest.param(bytes(range(256)) * 64, "no file of PyTorch weights", id="noise"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path, content, text):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=text):
        read_state(tmp_path / "x.pth")


def test_a_cut_file_is_refused(state, save):
    path = save(state)
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(WeightsError, match="no file of PyTorch weights"):
        read_state(path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param([torch.zeros(1)], "no bare state_dict", id="list"),
        pytest.param({"epoch": 3}, "no bare state_dict", id="numbers"),
        pytest.param({"network": {}, "average": {}}, "maskstream export", id="ours"),
    ],
)
def test_tensors_in_another_form_are_refused(save, content, text):
    with pytest.raises(WeightsError, match=text):
        read_state(save(content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"x\.pth: cannot be read \(No such file"):
        read_state(tmp_path / "x.pth")
