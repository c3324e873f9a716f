"""Ten minutes of damaged inputs, each time others; the seed is printed and may be set."""

import os
import random
import subprocess
import sys

import pytest

from tests.fuzz.damage import CHANGES, damaged


def test_a_seed_damages_bytes_the_same_way_each_time():
    content = bytes(range(256)) * 20
    first, second = (damaged(random.Random(5), content, [b"other" * 9]) for _ in range(2))
    assert first == second
    assert damaged(random.Random(6), content) != first


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 20])
def test_every_change_takes_any_bytes(change, content):
    for seed in range(20):
        assert len(change(random.Random(seed), content)) <= 2 * len(content)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_damaged_inputs_end_in_frames_or_in_one_line(shared_dir, repository_dir):
    """FUZZ_SEED and FUZZ_MINUTES set what else is chosen: a new seed, and ten minutes."""
    seed = os.environ.get("FUZZ_SEED", str(random.SystemRandom().randrange(10**6)))
    minutes = os.environ.get("FUZZ_MINUTES", "10")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--seed", seed, "--minutes", minutes],
        cwd=repository_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, f"{done.stdout[-8000:]}{done.stderr[-2000:]}"
