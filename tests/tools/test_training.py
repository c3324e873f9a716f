"""From labelled pictures to an engine that runs: train, export and eval as a user types them."""

import json

import pytest

from tests.train.shapes import write_shapes
from tools.run_card import RUN_CARD_NAME, choose_network, read_run_card

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
        timeout_s=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(folder / "r/best.pt"), str(folder / "r/last.pt")]
    assert "iteration 3 of 3, losses box" in done.stderr
    return folder / "r"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_trained_network_becomes_an_engine_that_is_scored_and_runs(
    maskstream, run_folder, shapes, tmp_path
):
    card = json.loads((run_folder / RUN_CARD_NAME).read_text())
    assert card["class_names"] == ["circle", "square", "star"]
    assert card["data"] == {str(shapes): 4}

    done = maskstream("eval", "--help")
    assert done.returncode == 0
    done = maskstream("export", run_folder, "-o", "shapes.onnx", cwd=tmp_path, timeout_s=150)
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


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_goes_on_from_its_checkpoint_with_its_own_network(maskstream, run_folder, shapes):
    # The size is left out: it is the run's, not the network's usual one.
    done = maskstream(
        "train", shapes, "-o", run_folder, "--iterations", 4, "--resume", "--batch", 2,
        "--workers", 0, timeout_s=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    assert [step["iteration"] for step in log] == [1, 2, 3, 4]
    assert read_run_card(run_folder).network.input_size == 64


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_goes_on_at_another_size_when_that_is_asked_for(maskstream, run_folder, shapes):
    begun = read_run_card(run_folder)
    iterations = len((run_folder / "log.jsonl").read_text().splitlines()) + 1
    done = maskstream(
        "train", shapes, "-o", run_folder, "--iterations", iterations, "--resume",
        "--batch", 2, "--workers", 0, "--input-size", 96, timeout_s=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    card = read_run_card(run_folder)
    assert card.network.input_size == 96
    scaled = begun.network.prior_scales[0][0] * 96 / 64
    assert card.network.prior_scales[0][0] == pytest.approx(scaled)
    # What was typed the first time and now, so that the whole run can be repeated.
    assert card.command[: len(begun.command)] == begun.command
    assert "--resume" in card.command[len(begun.command) :]


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
    assert refused(done).startswith("maskstream: b.pth: does not fit a shufflenet_v2_x1_0 (")


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
