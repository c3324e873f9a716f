"""The options of `maskstream train`: one list for what is typed and what the trainer takes."""

from dataclasses import fields

import cv2
import pytest

from maskstream.errors import ConfigError
from maskstream.tools.arguments.model_options import option_of
from maskstream.tools.cli import run_command_line
from maskstream.tools.training import training_run
from maskstream.tools.training.train_options import TrainSettings, check_heeded, make_train_options
from maskstream.train.augment_options import AugmentOptions
from maskstream.train.loop.checkpoint import load_checkpoint
from maskstream.train.loop.recipes import FAMILIES, get_recipe
from maskstream.train.options import FAMILY_OPTIONS, TrainOptions
from tests.helpers.shapes import write_shapes

FOR_CODE_ALONE = {"augment", "save_every_s"}
BEYOND_THE_TRAINER = {
    "data", "images", "validation", "test", "partial_sources", "is_resumed", "start_iteration",
    "family", "network", "input_size", "backbone", "weights",
    "epochs", "is_autoscaled", "finds_rate", "best_by",
}  # fmt: skip
"""Options that say what is trained and on what, not how."""


def test_every_option_is_one_of_the_trainer_or_says_what_is_trained():
    own = {field.name for kind in (TrainOptions, AugmentOptions) for field in fields(kind)}
    typed = set(TrainSettings.model_fields)
    assert typed - own == BEYOND_THE_TRAINER
    assert {field.name for field in fields(TrainOptions)} - typed == FOR_CODE_ALONE


def test_settings_become_the_trainers_options():
    settings = TrainSettings(lr_steps="5, 8", mosaic_probability=0.25, batch=6)
    made = make_train_options(settings)
    assert (made.lr_steps, made.augment.mosaic_probability, made.batch) == ((5, 8), 0.25, 6)
    assert (made.optimizer, made.augment.expand_max) == ("adamw", 2.5)
    with pytest.raises(ConfigError, match="--lr-steps: '5,x' was given; whole numbers"):
        make_train_options(TrainSettings(lr_steps="5,x"))


def test_options_have_the_names_that_people_type():
    assert option_of(TrainSettings, "mosaic_probability") == "--mosaic"
    assert option_of(TrainSettings, "validation") == "--val"
    assert option_of(TrainSettings, "max_masks") == "--max-masks"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_refuses_what_it_does_not_heed(family):
    recipe = get_recipe(family)
    assert recipe.own_options <= FAMILY_OPTIONS
    check_heeded(recipe, TrainSettings, dict.fromkeys([*recipe.own_options, "batch"]))
    for name in FAMILY_OPTIONS - recipe.own_options:
        option = option_of(TrainSettings, name)
        with pytest.raises(ConfigError, match=f"{option}: {family} does not heed it"):
            check_heeded(recipe, TrainSettings, {name: None})


@pytest.mark.slow
def test_a_search_for_a_rate_is_drawn_and_told_and_trains_nothing(tmp_path, capsys, monkeypatch):
    # Two threads of a tiny network wait for each other longer than they work.
    monkeypatch.setattr(training_run, "available_cores", lambda: 1)
    shapes, folder = write_shapes(tmp_path, 2), tmp_path / "search"
    typed = ["train", shapes, "--family", "yolov3", "--input-size", 64, "--batch", 1, "-o", folder]
    assert run_command_line([*map(str, typed), "--find-rate"]) == 0
    shown = capsys.readouterr()
    rate, path = shown.out.splitlines()
    assert 1e-7 <= float(rate.removeprefix("--learning-rate ")) <= 1e-2
    assert path == str(folder / "rates.png")
    assert cv2.imread(path) is not None
    assert [entry.name for entry in folder.iterdir()] == ["rates.png"]
    first, *_, last = shown.err.splitlines()
    assert first.startswith("iteration 1 of 100, losses total ")
    assert last.startswith("the loss was least at a rate of ")


def test_a_resumed_run_keeps_what_is_not_typed(tmp_path, capsys, monkeypatch):
    # Two threads of a tiny network wait for each other longer than they work.
    monkeypatch.setattr(training_run, "available_cores", lambda: 1)
    shapes = write_shapes(tmp_path, 2)
    folder = tmp_path / "run"

    def train(*arguments):
        code = run_command_line(["train", str(shapes), "-o", str(folder), *map(str, arguments)])
        return code, capsys.readouterr().err

    small = ("--family", "yolov3", "--input-size", 32, "--workers", 0)
    plain = ("--batch", 2, "--lr", 5e-4, "--mosaic", 0.5, "--schedule", "step", "--lr-steps", "7")
    assert train(*small, *plain, "--iterations", 1)[0] == 0
    assert train("--resume", "--workers", 0, "--iterations", 2, "--momentum", 0.8)[0] == 0
    state = load_checkpoint(folder / "last.pt")
    options = state["options"]
    assert (state["iteration"], options["iterations"], options["momentum"]) == (2, 2, 0.8)
    assert (options["batch"], options["learning_rate"], options["lr_steps"]) == (2, 5e-4, [7])
    assert options["augment"]["mosaic_probability"] == 0.5

    for typed, reason in (
        (("--family", "fcn"), f"--family: fcn was given; the run in {folder} is of yolov3."),
        (("--network", "yolov3"), f"yolov3 was given; the run in {folder} is of yolo-light."),
        (("--copy-paste", 1, "--dice-weight", 1), "--dice-weight: yolov3 does not heed it"),
        (("--best-by", "loss"), "--test, --best-by: yolov3 measures no losses; mask-rcnn does."),
    ):
        code, told = train("--resume", *typed)
        assert code == 2
        assert reason in told
