"""What a training begins with."""

from pathlib import Path
from typing import Any

import pytest
import torch

from maskstream.engines.files.zoo import SHIPPED_FOLDER
from maskstream.tools.training import training_start
from maskstream.tools.training.training_start import initial_values


class Recorder:
    """A recipe that notes what it is to read."""

    def __init__(self):
        self.read: list[Path] = []

    def load_weights(self, network, path):
        self.read.append(path)
        return ["dropped"]

    def fill_backbone(self, network, path):
        self.read.append(path)


@pytest.fixture
def settled(monkeypatch):
    """The networks whose norms were brought back."""
    networks: list[torch.nn.Module] = []
    monkeypatch.setattr(
        training_start, "_settle", lambda recipe, network, images: networks.append(network)
    )
    return networks


def begin(weights: str | None, backbone: str | None = None) -> tuple[list[Path], Any]:
    """Returns what was read, and what is said to begin anew."""
    recipe: Any = Recorder()
    fill = initial_values(
        recipe, [], *(None if name is None else Path(name) for name in (weights, backbone))
    )
    assert fill is not None
    return recipe.read, fill(torch.nn.Identity())


def test_the_name_of_an_engine_stands_for_its_file(settled):
    read, dropped = begin("person-light")
    assert read == [SHIPPED_FOLDER / "person-light.onnx"]
    assert dropped == ["dropped"]
    assert len(settled) == 1


def test_a_checkpoint_is_read_as_it_is(settled, tmp_path):
    (tmp_path / "person-light").write_bytes(b"")
    read, _ = begin(str(tmp_path / "person-light"))
    assert read == [tmp_path / "person-light"]
    assert begin("coco")[0] == [Path("coco")]
    assert settled == []


def test_weights_go_before_those_of_a_backbone(settled):
    assert begin("a.pt", "b.pth") == ([Path("a.pt")], ["dropped"])
    assert begin(None, "b.pth") == ([Path("b.pth")], [])
    assert initial_values(Recorder(), [], None, None) is None  # type: ignore[arg-type]
