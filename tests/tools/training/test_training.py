"""From labelled pictures to an engine that runs: train, export and eval as a user types them."""

import json
import math
import shutil
import signal
import time

import pytest
import torch
import torchvision

from maskstream.engines.networks.yolact.network import Yolact
from maskstream.train.errors import TrainError
from maskstream.train.loop.checkpoint import load_checkpoint
from maskstream.train.options import TrainOptions
from maskstream.train.runs.run_card import RUN_CARD_NAME, read_run_card
from maskstream.train.yolact.recipe import YolactRecipe
from tests.helpers.shapes import write_shapes

choose_network = YolactRecipe.choose_config

TRAIN = ("--input-size", 64, "--batch", 2, "--workers", 0, "--validate-every", 0)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    return write_shapes(folder, 4)


@pytest.fixture(scope="module")
def run_folder(maskstream, shapes, tmp_path_factory):
    """The folder of a run of three iterations."""
    folder = tmp_path_factory.mktemp("run")
    done = maskstream(
        "train", shapes, "--val", shapes, "-o", folder / "r", "--iterations", 3, *TRAIN,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str(folder / f"r/{name}") for name in ("best.pt", "last.pt", "curves.png")
    ]
    assert f"{shapes}: 4 pictures, 0 of them without objects; " in done.stderr
    assert "  class 1 square = category 7: " in done.stderr
    assert "iteration 3 of 3, losses box" in done.stderr
    return folder / "r"


def test_a_trained_network_becomes_an_engine_that_is_scored_and_runs(
    maskstream, run_folder, shapes, tmp_path
):
    card = json.loads((run_folder / RUN_CARD_NAME).read_text())
    assert card["class_names"] == ["circle", "square", "star"]
    assert card["data"] == {str(shapes): 4}

    done = maskstream("eval", "--help")
    assert done.returncode == 0
    done = maskstream("export", run_folder, "-o", "shapes.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("shapes.onnx: ")

    done = maskstream(
        "eval", "--engine", "shapes.onnx", "--annotations", shapes, "-o", "m.json",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "m.json").read_text())
    for kind in ("bbox", "segm"):
        assert list(metrics[kind]) == ["AP", "AP50", "AP75", "APs", "APm", "APl"]

    source = "synthetic:numbered?size=160x120&fps=30&frames=3"
    done = maskstream("run", source, "--engine", "shapes.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 of 3 frames delivered")


def test_a_run_goes_on_from_its_checkpoint_with_its_own_network(maskstream, run_folder, shapes):
    # The size is left out: it is the run's, not the network's usual one.
    done = maskstream(
        "train", shapes, "-o", run_folder, "--iterations", 4, "--resume", "--workers", 0,
        "--ema-decay", 0.9,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    options = load_checkpoint(run_folder / "last.pt")["options"]
    assert (options["batch"], options["ema_decay"]) == (2, 0.9)  # not typed, and typed
    log = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    assert [step["iteration"] for step in log] == [1, 2, 3, 4]
    assert read_run_card(run_folder).network["input_size"] == 64


@pytest.mark.slow
def test_a_run_goes_on_at_another_size_when_that_is_asked_for(maskstream, run_folder, shapes):
    begun = read_run_card(run_folder)
    iterations = len((run_folder / "log.jsonl").read_text().splitlines()) + 1
    done = maskstream(
        "train", shapes, "-o", run_folder, "--iterations", iterations, "--resume",
        "--batch", 2, "--workers", 0, "--input-size", 96,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    card = read_run_card(run_folder)
    assert card.network["input_size"] == 96
    scaled = begun.network["prior_scales"][0][0] * 96 / 64
    assert card.network["prior_scales"][0][0] == pytest.approx(scaled)
    # What was typed the first time and now, so that the whole run can be repeated.
    assert card.command[: len(begun.command)] == begun.command
    assert "--resume" in card.command[len(begun.command) :]


def test_ctrl_c_keeps_a_checkpoint_under_its_number_and_ends_the_workers_quietly(
    maskstream, shapes, tmp_path
):
    process = maskstream.start(
        "train", shapes, "-o", tmp_path / "r", "--iterations", 9999, "--input-size", 64,
        "--batch", 2, "--workers", 1, "--copy-paste", 0.5, "--mosaic", 0.5,
    )  # fmt: skip
    try:
        wait_for(lambda: (tmp_path / "r/log.jsonl").is_file(), process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert "iterations; go on with --resume" in stderr
    assert "Traceback" not in stderr
    assert "terminate called" not in stderr
    done = json.loads((tmp_path / "r/log.jsonl").read_text().splitlines()[-1])["iteration"]
    # Four pictures, two a batch.
    assert (tmp_path / f"r/yolact-light_{done // 2}_{done}_interrupt.pth").is_file()
    assert (tmp_path / "r/curves.png").is_file()


def wait_for(condition, process):
    """Wait until something is so while a process runs."""
    deadline_s = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


@pytest.mark.slow
def test_a_network_for_other_classes_begins_with_what_fits(
    maskstream, run_folder, shapes, tmp_path
):
    document = json.loads(shapes.read_text())
    del document["categories"][2]  # nothing is a star
    fewer = shapes.with_name("fewer.json")
    fewer.write_text(json.dumps(document))
    weights = tmp_path / "yolact-light_7_2.pth"
    shutil.copy(run_folder / "last.pt", weights)
    done = maskstream(
        "train", fewer, "-o", tmp_path / "r", "--weights", weights, "--start-iter", -1,
        "--iterations", 3, *TRAIN,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{weights}: made for other classes, so these begin anew:" in done.stderr
    assert "prediction_layers.0.conf_layer.weight, " in done.stderr
    (step,) = (tmp_path / "r/log.jsonl").read_text().splitlines()
    assert json.loads(step)["iteration"] == 3


@pytest.mark.slow
def test_a_training_begins_with_an_engine_file(maskstream, run_folder, shapes):
    engine, folder = run_folder.with_name("begun.onnx"), run_folder.with_name("begun")
    done = maskstream("export", run_folder, "-o", engine)
    assert done.returncode == 0, done.stderr
    done = maskstream(
        "train", shapes, "-o", folder, "--weights", engine, "--iterations", 1, *TRAIN,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "  semantic_seg_conv.weight, semantic_seg_conv.bias\n" in done.stderr
    (step,) = (folder / "log.jsonl").read_text().splitlines()
    assert all(math.isfinite(loss) for loss in json.loads(step)["losses"].values())


def test_every_fault_of_the_data_is_named(maskstream, shapes, tmp_path):
    document = json.loads(shapes.read_text())
    document["annotations"][0]["category_id"] = 5
    document["images"][1]["file_name"] = "absent.png"
    bad = shapes.with_name("bad.json")
    bad.write_text(json.dumps(document))
    done = maskstream("train", bad, "-o", tmp_path / "r")
    assert done.returncode == 2
    head, *lines = done.stderr.splitlines()
    assert head == f"maskstream: {bad}: 2 faults to be mended first:"
    assert lines == [
        f"  image 2: {bad.with_name('absent.png')}: no such picture",
        "  annotation 1: is of category 5; the file lists [3, 7, 9]",
    ]
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--start-iter", -1], "--start-iter: there are no --weights to begin with"),
        (["--lr-steps", "5,x"], "--lr-steps: '5,x' was given; whole numbers are needed"),
        (["--batch", 16, "--accumulate", 3], "--batch: 16 cannot be taken in 3 equal parts"),
        (["--weights", "absent.pth"], "absent.pth: no such file"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    maskstream, shapes, tmp_path, arguments, reason
):
    done = maskstream("train", shapes, "-o", tmp_path / "r", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert f"maskstream: {reason}" in done.stderr


@pytest.mark.parametrize("name", ["yolact_base_config", "yolact_base", "yolact-base"])
def test_networks_are_known_by_yolacts_names_too(name):
    assert choose_network(name, class_count=80, input_size=None).name == "yolact-base"


def refused(done) -> str:
    """The one line of a command that was refused."""
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return str(line)


def test_a_folder_that_holds_a_run_is_not_begun_anew(maskstream, shapes, tmp_path):
    (tmp_path / "last.pt").write_bytes(b"")
    done = maskstream("train", shapes, "-o", tmp_path)
    assert "holds a run; go on with --resume, or name another folder." in refused(done)


def test_a_folder_without_a_run_cannot_be_gone_on_with(maskstream, shapes, tmp_path):
    done = maskstream("train", shapes, "-o", tmp_path, "--resume")
    assert "holds no last.pt to go on from" in refused(done)


def test_annotations_that_are_not_there_are_named_and_no_folder_is_made(maskstream, tmp_path):
    done = maskstream("train", "absent.json", "-o", "run", cwd=tmp_path)
    assert refused(done).startswith("maskstream: absent.json: ")
    assert list(tmp_path.iterdir()) == []


def test_annotation_files_with_other_classes_are_refused(maskstream, shapes, tmp_path):
    other = json.loads(shapes.read_text())
    other["categories"][0]["name"] = "hexagon"
    path = shapes.with_name("other.json")
    path.write_text(json.dumps(other))
    done = maskstream("train", shapes, path, "-o", tmp_path / "run")
    assert "has the classes hexagon, square, star" in refused(done)


def test_a_backbone_file_that_does_not_fit_is_refused(maskstream, shapes, tmp_path):
    (tmp_path / "b.pth").write_bytes(b"no tensors")
    done = maskstream("train", shapes, "-o", "run", "--backbone", "b.pth", cwd=tmp_path)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("maskstream: b.pth: cannot be read as a checkpoint (")


def test_a_classifier_of_imagenet_fills_a_resnet(tmp_path):
    classifier = torchvision.models.resnet50()
    torch.save(classifier.state_dict(), tmp_path / "resnet50.pth")
    config = choose_network("yolact_resnet50_config", class_count=1, input_size=64)
    network = Yolact(config)
    options = TrainOptions(iterations=1)
    YolactRecipe(config, ("thing",), options).fill_backbone(network, tmp_path / "resnet50.pth")
    ours = network.backbone.state_dict()["layers.3.2.conv3.weight"]
    torch.testing.assert_close(ours, classifier.layer4[2].conv3.weight)
    other = YolactRecipe(
        choose_network("yolact-base", class_count=1, input_size=64), ("thing",), options
    )
    with pytest.raises(TrainError, match="does not fit a resnet101"):
        other.fill_backbone(other.make_network(), tmp_path / "resnet50.pth")


def test_exporting_a_folder_that_is_no_run_is_refused(maskstream, tmp_path):
    done = maskstream("export", tmp_path, "-o", tmp_path / "x.onnx")
    assert "run.json: no such file; the folder of a `maskstream train` run" in refused(done)


def test_an_export_under_another_suffix_is_refused(maskstream, tmp_path):
    done = maskstream("export", tmp_path, "-o", "x.engine", cwd=tmp_path)
    assert (
        refused(done) == "maskstream: x.engine: the name ends in '.engine'; it must end in .onnx."
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--engine", "absent.onnx"], "absent.onnx: no such engine file"),
        (["-o", "no/m.json"], "no/m.json: no does not exist; make it first: mkdir -p no"),
    ],
)
def test_an_evaluation_that_cannot_be_made_is_refused(
    maskstream, shapes, tmp_path, arguments, reason
):
    done = maskstream("eval", "--annotations", shapes, *arguments, cwd=tmp_path)
    assert refused(done).startswith(f"maskstream: {reason}")


def test_a_network_at_another_size_has_its_priors_scaled():
    usual = choose_network("yolact-light", class_count=1, input_size=None)
    large = choose_network("yolact-light", class_count=3, input_size=2 * usual.input_size)
    assert large.class_count == 3
    assert large.prior_scales == tuple(
        tuple(2 * side for side in level) for level in usual.prior_scales
    )


@pytest.mark.parametrize("size", [0, 32, 100, -64])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="--input-size"):
        choose_network("yolact-light", class_count=1, input_size=size)


def test_mask_scoring_needs_a_size_that_its_layers_can_halve_five_times():
    assert choose_network("yolact-plus-resnet50", class_count=1, input_size=256).input_size == 256
    with pytest.raises(TrainError, match=r"yolact-plus-resnet50 scores masks, which needs 256"):
        choose_network("yolact-plus-resnet50", class_count=1, input_size=224)
