"""What a run writes down of its steps: JSON lines, and TensorBoard's files where wanted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from maskstream.train.evaluation.coco_ap import Metrics

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG_NAME = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


@dataclass(frozen=True, slots=True)
class Progress:
    """One step, for whoever watches.

    Attributes:
        losses: With their weights, as they are summed.
        skipped: Steps of the run that were not finite and changed nothing.
    """

    iteration: int
    iterations: int
    losses: dict[str, float]
    learning_rate: float
    elapsed_s: float
    metrics: Metrics | None = None
    skipped: int = 0


class RunLog:
    """The log of one run, in its folder.

    Args:
        folder: Gets ``log.jsonl``, one object a step, and with TensorBoard a folder for it.
        iteration: Where the run begins; what TensorBoard knows of later steps does not count.
    """

    def __init__(self, folder: Path, *, writes_tensorboard: bool, iteration: int) -> None:
        self._path = folder / LOG_NAME
        self._board: SummaryWriter | None = None
        if writes_tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=iteration + 1)

    def write(self, step: Progress) -> None:
        """Add a step."""
        with self._path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(step)) + "\n")
        if self._board is None:
            return
        for name, value in step.losses.items():
            self._board.add_scalar(f"loss/{name}", value, step.iteration)
        self._board.add_scalar("learning_rate", step.learning_rate, step.iteration)
        for kind, figures in (step.metrics or {}).items():
            for name, value in figures.items():
                self._board.add_scalar(f"{kind}/{name}", value, step.iteration)

    def close(self) -> None:
        """Write what is still held."""
        if self._board is not None:
            self._board.close()


def read_log(path: Path) -> list[Progress]:
    """Return the steps of a run in their order.

    A run that went on from an older checkpoint has repeated steps; the later ones count.
    """
    steps: dict[int, Progress] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        step = Progress(**json.loads(line))
        steps[step.iteration] = step
    return [steps[iteration] for iteration in sorted(steps)]
