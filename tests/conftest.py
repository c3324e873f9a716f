"""Fixtures of all folders of tests: where the material lies that is not in the repository."""

import os
from pathlib import Path

import pytest

REPOSITORY_DIR = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository_dir() -> Path:
    """The repository's top folder."""
    return REPOSITORY_DIR


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of shared material beside the repository: clips, pictures, weights.

    A test that needs it is skipped where it is absent; with REQUIRE_SHARED=1 it fails instead, so
    that a run that is meant to test everything cannot pass by skipping.
    """
    folder = REPOSITORY_DIR.parent / "shared"
    if folder.is_dir():
        return folder
    reason = f"{folder}: no such folder; it holds the clips and pictures this test reads."
    if os.environ.get("REQUIRE_SHARED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def clips_dir(shared_dir: Path) -> Path:
    """The folder of real and awkward clips."""
    return shared_dir / "data" / "clips"
