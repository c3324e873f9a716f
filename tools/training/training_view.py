"""What a training run shows of itself: a bar in a terminal, else a line now and then."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from maskstream.stream.telemetry.progress import clock_text
from maskstream.train.evaluation.coco_ap import KIND_TITLES, MAIN_METRICS
from maskstream.train.loop.log import Progress
from maskstream.train.samples.coco import CocoSet

LINE_PERIOD_S = 30.0


class TrainingView(Protocol):
    """Where a training run shows its steps."""

    def show(self, step: Progress) -> None:
        """Take a step; each view shows them as often as it suits it."""

    def close(self) -> None:
        """Leave the last figures standing and give the terminal back."""


def open_training_view(iterations: int, output: TextIO | None = None) -> TrainingView:
    """Return the view that suits where the output goes; standard error where None."""
    output = sys.stderr if output is None else output
    return _BarView(iterations, output) if output.isatty() else _LinesView(output)


class _LinesView:
    """One line every half minute, and one for each validation."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._shown_s: float | None = None
        self._began_at: tuple[int, float] | None = None

    def show(self, step: Progress) -> None:
        if self._began_at is None:
            # A resumed run counts on from where it was: the pace is that of this process.
            self._began_at = (step.iteration, step.elapsed_s)
        is_due = self._shown_s is None or step.elapsed_s - self._shown_s >= LINE_PERIOD_S
        if is_due or step.metrics is not None or step.iteration == step.iterations:
            self._shown_s = step.elapsed_s
            self._output.write(f"{step_line(step)}{self._left(step)}\n")
            self._output.flush()

    def _left(self, step: Progress) -> str:
        assert self._began_at is not None
        done, elapsed_s = step.iteration - self._began_at[0], step.elapsed_s - self._began_at[1]
        left = step.iterations - step.iteration
        return f", {clock_text(left * elapsed_s / done)} left" if done and left else ""

    def close(self) -> None:
        """Nothing is held."""


class _BarView:
    """A bar with the losses beside it; validations stay above it."""

    def __init__(self, iterations: int, output: TextIO) -> None:
        self._bar = Bar(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(file=output, highlight=False),
        )
        self._task = self._bar.add_task("", total=iterations)

    def show(self, step: Progress) -> None:
        self._bar.start()
        self._bar.update(self._task, completed=step.iteration, description=_losses(step))
        if step.metrics is not None:
            self._bar.print(step_line(step), markup=False)

    def close(self) -> None:
        self._bar.stop()


def data_lines(sets: Sequence[CocoSet]) -> Iterator[str]:
    """Return what there is to learn from: pictures, objects, the class of each category."""
    for dataset in sets:
        objects = [a for image in dataset.images for a in image.annotations if not a.is_crowd]
        masks = sum(a.rle is not None for a in objects)
        empty = sum(not image.annotations for image in dataset.images)
        yield (
            f"{dataset.path}: {len(dataset.images)} pictures, {empty} of them without objects; "
            f"{len(objects)} objects, {masks} with a mask"
        )
        counts = Counter(a.class_id for a in objects)
        for class_id, name in enumerate(dataset.class_names):
            category = dataset.category_ids[class_id]
            yield f"  class {class_id} {name} = category {category}: {counts[class_id]} objects"
        yield from (f"  {note}" for note in dataset.notes)


def step_line(step: Progress) -> str:
    """Return a step as one line of text."""
    parts = [f"iteration {step.iteration} of {step.iterations}", _losses(step)]
    parts += [_measured(kind, figures) for kind, figures in (step.metrics or {}).items()]
    return ", ".join(parts)


def _measured(kind: str, figures: dict[str, float]) -> str:
    """Return a validation's figures of one kind: a loss as it is, shares in percent."""
    if "total" in figures:
        return f"{'validation loss' if kind == 'loss' else kind} {figures['total']:.2f}"
    names = [name for name in (*MAIN_METRICS, "accuracy") if name in figures]
    shown = ", ".join(f"{name} {100 * figures[name]:.1f}" for name in names)
    # "hits" has an accuracy alone, and "test hits" that of the test set.
    title = KIND_TITLES.get(kind, kind.removesuffix("hits").strip())
    return f"{title} {shown}".strip()


def _losses(step: Progress) -> str:
    """Return the losses, each by its name, and the steps that were not finite."""
    losses = "losses " + " ".join(f"{name} {value:.2f}" for name, value in step.losses.items())
    return f"{losses}, {step.skipped} steps skipped" if step.skipped else losses
