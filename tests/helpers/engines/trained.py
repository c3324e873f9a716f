"""The folder of a training whose averaged weights are those of the tiny engine file."""

from dataclasses import asdict
from pathlib import Path

from maskstream.train.loop.checkpoint import save_checkpoint
from maskstream.train.runs.run_card import RunCard
from tests.helpers.engines.tiny import CLASS_NAMES, tiny_config, tiny_detector


def write_run(folder: Path) -> Path:
    """Write the run's card and its last checkpoint; return the folder."""
    RunCard(
        network=asdict(tiny_config()), class_names=CLASS_NAMES, command=("maskstream",), data={},
        versions={},
    ).write(folder)  # fmt: skip
    weights = tiny_detector().network.state_dict()
    save_checkpoint(folder / "last.pt", {"network": weights, "average": weights})
    return folder
