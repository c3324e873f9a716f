"""The quick tier starts no process and loads nothing beyond the core, whatever a test asks for."""

import subprocess
import sys
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement

from tests.quick import LEFT_OUT_MARKS, NOT_CORE

NOT_QUICK = {
    "loads_torch": "import torch",
    "loads_a_part_of_torch": "from torch import nn",
    "loads_torch_through_ours": "import maskstream.engines.networks.yolact.network",
    "finds_torch_gone_in_time": """
        try:
            import torch
        except ImportError as exc:
            raise ValueError('training is not installed') from exc
        """,
    "runs_a_command": "import subprocess; subprocess.run(['true'])",
    "runs_one_beside_asyncio": """
        import asyncio
        asyncio.run(asyncio.create_subprocess_exec('true'))
        """,
    "runs_one_in_a_thread": """
        import subprocess, threading
        thread = threading.Thread(target=subprocess.run, args=(['true'],))
        thread.start(); thread.join()
        """,
    "runs_a_shell": "import os; os.system('true')",
    "forks": "import os; os._exit(0) if os.fork() == 0 else os.wait()",
    "spawns": """
        import multiprocessing
        multiprocessing.get_context('spawn').Process(target=print).start()
        """,
    "starts_a_tracker": "import multiprocessing; multiprocessing.get_context('spawn').Lock()",
    "starts_a_pool": """
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(1) as pool:
            pool.submit(print).result()
        """,
    "swallows_every_error": """
        import subprocess
        try:
            subprocess.run(['true'])
        except Exception:
            pass
        """,
}
"""What a test may do that is not quick, by the test's name."""


def written(name: str, code: str) -> str:
    """Return a test of that name that does what `code` does."""
    lines = [line for line in code.split("\n") if line.strip()]
    margin = min(len(line) - len(line.lstrip()) for line in lines)
    body = "".join(f"    {line[margin:]}\n" for line in lines)
    return f"def test_it_{name}():\n{body}\n"


@pytest.fixture(scope="module")
def said(tmp_path_factory, repository_dir):
    """Return what pytest says of each test of a few files under --quick."""
    folder = tmp_path_factory.mktemp("quick")
    tests = "".join(written(name, code) for name, code in NOT_QUICK.items())
    marked = "".join(
        f"@pytest.mark.{mark}\ndef test_it_is_marked_{mark}(): pass\n" for mark in LEFT_OUT_MARKS
    )
    plain = "def test_it_is_quick(): pass\ndef test_it_fails(): assert False\n"
    (folder / "test_inside.py").write_text(f"import pytest\n{tests}{marked}{plain}")
    (folder / "test_at_the_top.py").write_text("import torch\ndef test_it_is_never_seen(): pass\n")
    (folder / "test_last.py").write_text(
        "import sys\nfrom tests.quick import NOT_CORE\n"
        "def test_nothing_was_loaded(): assert not NOT_CORE & set(sys.modules)\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.quick", "--quick", "-rA", "-v"),
            *("-p", "no:cacheprovider", "-c", repository_dir / "pyproject.toml"),
            *("--rootdir", folder, folder),
        ],
        cwd=repository_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", NOT_QUICK)
def test_what_is_not_quick_is_skipped_without_a_mark(said, name):
    assert f"::test_it_{name} SKIPPED" in said


def test_a_file_that_loads_torch_is_skipped_as_a_whole(said):
    assert "test_it_is_never_seen" not in said
    assert "test_at_the_top.py:1: needs torch" in said


def test_what_is_marked_for_another_tier_is_left_out(said):
    assert "test_it_is_marked" not in said
    assert f"{len(LEFT_OUT_MARKS)} deselected" in said


def test_other_tests_run_and_may_fail(said):
    assert "::test_it_is_quick PASSED" in said
    assert "::test_it_fails FAILED" in said


def test_nothing_has_been_loaded_that_the_core_install_lacks(said):
    assert "::test_nothing_was_loaded PASSED" in said


def test_what_an_extra_brings_is_held_back():
    core: set[str] = set()
    extras: set[str] = set()
    for text in requires("maskstream") or ():
        wanted = Requirement(text)
        (extras if wanted.marker else core).add(wanted.name.lower())
    modules: dict[str, set[str]] = {name: set() for name in extras - core}
    for module, names in packages_distributions().items():
        for name in names:
            modules.get(name.lower(), set()).add(module)
    # What checks and runs the tests does not count; what is not installed cannot be loaded.
    checks = ("mypy", "pytest", "ruff")
    brought = {name: found for name, found in modules.items() if not name.startswith(checks)}
    assert [name for name, found in brought.items() if found and not found & NOT_CORE] == []
