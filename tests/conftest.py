"""Fixtures of all folders of tests: where the material lies that is not in the repository."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from maskstream.engines.runtimes.nvidia import why_no_gpu
from tests.helpers.kept import KEPT_DIR

# The threads of torch's OpenMP spin while they wait for each other. On two busy cores that makes a
# tiny network's step a hundred times slower, and tests of tiny networks gain nothing from threads.
# Set before torch is imported anywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Engines that are built, choices that are measured: none of it belongs in the user's own cache. One
# folder for all workers and runs: what was measured once need not be measured again.
os.environ["XDG_CACHE_HOME"] = str(KEPT_DIR)

# A shell ignores Ctrl-C for what it starts in the background, and children inherit that; the tests
# of interrupts would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
pytest_plugins = ("tests.quick",)

TESTS_DIR = Path(__file__).resolve().parent
REPOSITORY_DIR = TESTS_DIR.parent

LONG_FILES = (
    "tools/training/test_training.py",
    "train/loop/test_trainer.py",
    "tools/run/test_command.py",
    "engines/runtimes/test_backend_contract.py",
    "stream/supervision/test_restarts.py",
    "engines/runtimes/openvino/test_backend.py",
    "train/mask_rcnn/test_recipe.py",
    "stream/viewers/rtsp/test_server.py",
    "tools/doctor/test_command.py",
    "engines/test_shipped.py",
    "system/test_clips.py",
    "system/test_page.py",
    "system/test_endurance.py",
    "system/test_live.py",
)
"""Take longest of all, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, and let some tests try twice.

    A long file that is begun last would keep one worker busy after the others have ended. What
    starts windows, browsers and servers has a second try, as a busy machine disturbs it.
    """
    ranks = {TESTS_DIR / name: rank for rank, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
    for item in items:
        if item.get_closest_marker("system") is not None:
            item.add_marker(pytest.mark.flaky(reruns=1))


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
def gpu() -> None:
    """A test that needs a GPU is skipped where there is none.

    With REQUIRE_GPU=1 it fails instead, so that a run on a GPU machine cannot pass by skipping.
    """
    reason = why_no_gpu()
    if reason is not None and os.environ.get("REQUIRE_GPU") == "1":
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def clips_dir(shared_dir: Path) -> Path:
    """The folder of real and awkward clips."""
    return shared_dir / "data" / "clips"


class Command:
    """The installed command, run as a shell would run it."""

    def __init__(self) -> None:
        self.program = Path(sys.executable).with_name("maskstream")
        if not self.program.is_file():
            pytest.fail(f"{self.program}: no such command; install the package: make setup-all")

    def __call__(
        self, *arguments: object, cwd: Path | None = None, timeout_s: float = 200.0
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; after ``timeout_s`` it counts as hung."""
        process = self.start(*arguments, cwd=cwd)
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def start(self, *arguments: object, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start it; whoever asked ends it."""
        return subprocess.Popen(
            [str(self.program), *map(str, arguments)],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="session")
def maskstream() -> Command:
    """Runs the command `maskstream` in processes of its own."""
    return Command()
