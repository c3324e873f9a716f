"""Two processes that share each batch learn what one learns from the whole."""

import functools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from maskstream.train.errors import TrainError
from maskstream.train.loop.checkpoint import CHECKPOINT_NAME, load_checkpoint
from maskstream.train.loop.group import Group, join_group
from maskstream.train.loop.recipes import FAMILIES
from tests.helpers.shapes import write_shapes
from tests.train.loop import distributed_run


def _losses(folder):
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [list(json.loads(line)["losses"].values()) for line in lines]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Eight pictures, three of them without objects: a share may have nothing to mask."""
    path = write_shapes(tmp_path_factory.mktemp("shapes"), 8)
    document = json.loads(path.read_text())
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] > 3]
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def alone(shapes, tmp_path_factory):
    """Returns the folder of a family's run in one process."""
    folder = tmp_path_factory.mktemp("alone")

    @functools.cache
    def run(family):
        options = distributed_run.options()
        distributed_run.run(family, shapes, folder / family, options, Group())
        return folder / family

    return run


@pytest.fixture(scope="module")
def together(shapes, tmp_path_factory, repository_dir):
    """The folder with a folder of each family's run in two processes."""
    folder = tmp_path_factory.mktemp("together")
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--master-addr", "127.0.0.1", "--master-port", "0", "--rdzv-backend", "c10d",
            "--rdzv-endpoint", "127.0.0.1:0",
            "-m", "tests.train.loop.distributed_run", str(shapes), str(folder),
        ],
        cwd=repository_dir,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def _assert_same(folder, alone):
    np.testing.assert_allclose(_losses(folder), _losses(alone), rtol=1e-4, atol=1e-6)
    ours, theirs = (load_checkpoint(f / CHECKPOINT_NAME)["network"] for f in (folder, alone))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_processes_have_the_losses_and_weights_of_one(family, alone, together):
    # The first process alone writes the log.
    assert len(_losses(together / family)) == 4
    _assert_same(together / family, alone(family))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_taken_in_parts_gives_the_step_of_the_whole(family, shapes, alone, tmp_path):
    options = distributed_run.options(accumulate=2)
    distributed_run.run(family, shapes, tmp_path, options, Group())
    _assert_same(tmp_path, alone(family))


def test_shares_make_up_the_batch():
    items = list(range(6))
    shares = [items[Group(rank, 3).share(6)] for rank in range(3)]
    assert shares == [[0, 1], [2, 3], [4, 5]]


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(TrainError, match="--batch: 5 cannot be shared by 2 processes"):
        Group(0, 2).share(5)


def test_a_process_that_is_alone_agrees_with_itself(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    group = join_group("cpu")
    assert (group.rank, group.size, group.device, group.is_first) == (0, 1, "cpu", True)
    assert group.agree(True)
    assert not group.agree(False)


def test_one_card_for_several_processes_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainError, match="cuda gives each its own"):
        join_group("cuda:1")
