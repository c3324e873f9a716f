"""`maskstream tune` on tiny pictures, with real training."""

import json

import pytest

from maskstream.tools.cli import run_command_line
from maskstream.tools.training.tune_command import TuneSettings
from maskstream.train.tuning import SPACE
from tests.helpers.shapes import write_shapes

SMALL = ("--iterations", 2, "--validate-every", 1, "--batch", 2, "--workers", 0)
SIZES = {"yolact": 64, "yolov3": 32, "fcn": 112, "mask-rcnn": 64}
NETWORKS = {"mask-rcnn": "mask-rcnn-mini"}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"), 3)


@pytest.fixture
def search(shapes, tmp_path, capsys):
    """Runs the command; returns its exit code and what it showed."""

    def run(*arguments):
        typed = ["tune", shapes, "--val", shapes, "-o", tmp_path / "study", *SMALL, *arguments]
        code = run_command_line([str(word) for word in typed])
        return code, capsys.readouterr()

    return run


def test_a_search_ends_with_options_to_type_and_goes_on(search, tmp_path):
    options = ("--input-size", 64, "--search", "learning-rate,mosaic")
    code, shown = search("--trials", 2, *options)
    assert code == 0
    assert "trial 0: mask AP 0.0; --learning-rate 0.001 --mosaic 0" in shown.err
    best = json.loads((tmp_path / "study/best.json").read_text())
    assert set(best) == {"trial", "score", "learning_rate", "mosaic_probability"}
    assert "--learning-rate" in shown.out
    assert (tmp_path / "study/trial-001/log.jsonl").is_file()

    code, shown = search("--trials", 3, *options)
    assert code == 0
    assert "trial 1" not in shown.err
    assert "trial 2" in shown.err


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("yolov3", "box AP"),
        ("fcn", "crop mean IoU"),
        pytest.param("mask-rcnn", "mask AP", marks=pytest.mark.slow),
    ],
)
def test_other_families_are_searched_by_their_own_figure(search, tmp_path, family, told):
    network = ("--network", NETWORKS[family]) if family in NETWORKS else ()
    code, shown = search(
        "--family", family, *network, "--input-size", SIZES[family], "--trials", 1,
        "--search", "learning-rate", "--lr", 4e-3, "--iterations", 1,
    )  # fmt: skip
    assert code == 0, shown.err
    assert f"trial 0: {told} " in shown.err
    assert "; --learning-rate 0.004" in shown.err
    # A trial is a run like any other.
    card = json.loads((tmp_path / "study/trial-000/run.json").read_text())
    assert card["family"] == family


def test_what_cannot_be_searched_is_named(search):
    code, shown = search("--search", "mosaic,colour")
    assert code == 2
    assert "--search: colour cannot be searched; use learning-rate, " in shown.err
    code, shown = search("--family", "fcn", "--search", "mosaic")
    assert "--search: mosaic cannot be searched; use learning-rate, backbone-rate, w" in shown.err
    code, shown = search("--family", "fcn", "--mosaic", 0.5)
    assert "--mosaic: fcn does not heed it; leave it out." in shown.err


def test_all_that_can_be_searched_can_be_given():
    assert set(SPACE) <= set(TuneSettings.model_fields)
