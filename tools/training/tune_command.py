"""`maskstream tune`: search for the training options that suit the data."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maskstream.engines.files.disk import write_text_atomically
from maskstream.errors import ConfigError
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.arguments.model_options import (
    given_on_command_line,
    option_of,
    with_options_of,
)
from maskstream.tools.training.learning_options import (
    LearningSettings,
    LossSettings,
    PictureSettings,
)
from maskstream.tools.training.train_options import (
    MachineSettings,
    NetworkSettings,
    check_heeded,
    make_train_options,
)
from maskstream.tools.training.training_data import TrainingFiles, check_there

if TYPE_CHECKING:
    from maskstream.tools.training.training_sets import TrainingSets
    from maskstream.train.options import TrainOptions
    from maskstream.train.tuning import TrialEnd

BEST_FILE = "best.json"


# The last base's fields come first.
class TuneSettings(
    MachineSettings, PictureSettings, LossSettings, LearningSettings, NetworkSettings
):
    """What a trial has in common with `maskstream train`, with the defaults of a short run."""

    iterations: Annotated[
        int, typer.Option("--iterations", "--max-iter", min=1, help="Of each trial.")
    ] = 500
    validate_every: Annotated[
        int, typer.Option(min=1, help="Iterations; a trial that is behind then ends early.")
    ] = 100
    ema_decay: Annotated[float, typer.Option(help="Of the averaged weights.")] = 0.99


AnnotationsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="ANNOTATIONS", show_default=False, help="COCO JSON files to learn from."
    ),
]
ValOption = Annotated[
    Path, typer.Option("--val", metavar="FILE", show_default=False, help="To score on.")
]
OutputOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        show_default=False,
        help="Gets the study and its trials; a study that is there goes on.",
    ),
]
ImagesOption = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Folder that the file names start in.")
]
TrialsOption = Annotated[int, typer.Option(min=1, help="Of the whole study.")]
SearchOption = Annotated[
    str,
    typer.Option(
        metavar="NAME,NAME",
        help="What to search, by the options of `train` without dashes; if left out, all that "
        "the family heeds of learning-rate, backbone-rate, weight-decay, dice-weight, "
        "anchor-iou, expand-probability, mosaic, copy-paste, vertical-flip.",
    ),
]


@with_options_of(TuneSettings)
def tune(
    context: typer.Context,
    annotations: AnnotationsArgument,
    val: ValOption,
    output: OutputOption,
    images: ImagesOption = None,
    trials: TrialsOption = 20,
    search: SearchOption = "",
    **options: Any,
) -> None:
    """Search for the options of `maskstream train` that score best on --val.

    Each trial is a short run, and a folder that `maskstream export` reads; one that is behind the
    median of the others ends early. What is not searched is as given here, or as `train` has it.
    Ctrl-C ends the search; the same command goes on with it.
    """
    settings = TuneSettings.model_construct(**options)
    check_there(*annotations, val)
    with needs_training_parts("tune"):
        from maskstream.tools.training.training_sets import read_sets
        from maskstream.train.loop.recipes import get_recipe
        from maskstream.train.tuning import run_study, space_of
    recipe = get_recipe(settings.family)
    check_heeded(recipe, TuneSettings, given_on_command_line(context, options))
    names = _searched(search, space_of(recipe))
    base = make_train_options(settings)
    sets = read_sets(TrainingFiles(annotations, val, None), recipe, images)
    best = run_study(
        output,
        _Trials(settings, sets),
        base,
        trial_count=trials,
        names=names,
        figure=recipe.best_by,
        watch=lambda trial: _tell(trial, recipe.best_by),
    )
    write_text_atomically(
        output / BEST_FILE,
        json.dumps({"trial": best.number, "score": best.value, **best.values}, indent=2) + "\n",
    )
    print(f"trial {best.number}, {_scored(best.value, recipe.best_by)}: maskstream train with")
    print(_typed(best.values))
    print(output / BEST_FILE)


class _Trials:
    """Trains once for each trial, on the same sets."""

    def __init__(self, settings: TuneSettings, sets: "TrainingSets") -> None:
        self._settings, self._sets = settings, sets

    def __call__(self, options: "TrainOptions", folder: Path, watch: Any) -> Any:
        """Train with options, and return the last validation."""
        from maskstream.tools.training.training_start import initial_values, new_card
        from maskstream.train.loop.trainer import Trainer
        from maskstream.train.runs.trained_run import recipe_of

        wanted, sets = self._settings, self._sets
        card = new_card(wanted.family, wanted.network, wanted.input_size, sets)
        recipe = recipe_of(card, folder, options)
        trainer = Trainer(recipe, sets.images, sets.validation, folder, watch)
        fill = initial_values(recipe, sets.images, wanted.weights, wanted.backbone)
        if fill is not None:
            trainer.begin_with(fill)
        card.write(folder)
        return trainer.run()


def _searched(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fields that comma-separated options stand for; all that are known for none.

    Raises:
        ConfigError: One of them is not searched.
    """
    fields = {option_of(TuneSettings, name).removeprefix("--"): name for name in known}
    wanted = [part.strip().removeprefix("--") for part in text.split(",") if part.strip()]
    unknown = [name for name in wanted if name not in fields]
    if unknown:
        raise ConfigError(
            f"--search: {', '.join(unknown)} cannot be searched; use {', '.join(fields)}."
        )
    return tuple(fields[name] for name in wanted) or known


def _tell(trial: "TrialEnd", figure: tuple[str, str]) -> None:
    """Say what came of a trial."""
    ends = {"COMPLETE": "", "PRUNED": ", ended early", "FAIL": ", failed"}
    score = _scored(trial.value, figure)
    print(
        f"trial {trial.number}: {score}{ends[trial.state]}; {_typed(trial.values)}",
        file=sys.stderr,
    )


def _scored(value: float | None, figure: tuple[str, str]) -> str:
    """Return a score as people say it, such as ``mask AP 12.3``."""
    from maskstream.train.evaluation.coco_ap import KIND_TITLES

    kind, name = figure
    title = f"{KIND_TITLES.get(kind, kind)} {name}"
    return f"no {title}" if value is None else f"{title} {100 * value:.1f}"


def _typed(values: dict[str, float]) -> str:
    """Return values as options of `maskstream train`."""
    return " ".join(f"{option_of(TuneSettings, name)} {v:.3g}" for name, v in values.items())
