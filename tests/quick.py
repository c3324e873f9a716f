"""The quick tier: `pytest --quick` runs what starts no process and needs only the core install.

A test need not say that it belongs there. Under `--quick` nothing can start a process, and what
the core install leaves out cannot be imported; a test that fails for that is skipped, with its
reason. Left out from the start is what is marked `slow`, `system` or `long`.
"""

from __future__ import annotations

import multiprocessing.util
import sys
from collections.abc import Generator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

import pytest

NOT_CORE = frozenset({
    "cuda", "defusedxml", "gradio", "matplotlib", "nvidia", "onnx", "onnxruntime", "onnxscript",
    "optuna", "PIL", "playwright", "pycocotools", "pycuda", "supervision", "tensorboard",
    "tensorrt", "tensorrt_rtx", "torch", "torchvision", "Xlib", "yaml",
})  # fmt: skip
"""Modules that only the extras of pyproject.toml bring."""
STARTS = frozenset({
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system",
    "subprocess.Popen",
})  # fmt: skip
"""What Python reports before it starts a process."""
LEFT_OUT_MARKS = ("slow", "system", "long")
LEFT_OUT_FIXTURES = frozenset(("maskstream",))
"""Every test that asks for one of these starts processes."""


class Guard:
    """Prevents what the quick tier does without, and remembers what was asked for."""

    def __init__(self) -> None:
        self.reason: str | None = None
        """Why the test at hand is no quick one."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Say of what is not in the core install that it is not there; called by imports."""
        if name.partition(".")[0] in NOT_CORE:
            self.reason = f"needs {name}"
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Skip a test that is about to start a process; called by Python before it does."""
        if event in STARTS:
            self.refuse()

    def refuse(self, *_: object) -> NoReturn:
        """Skip the test at hand."""
        self.reason = "starts a process"
        raise pytest.skip.Exception(self.reason, allow_module_level=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Watch from now on, to the end of this process."""
        loaded = sorted(NOT_CORE & set(sys.modules))
        if loaded:
            raise pytest.UsageError(f"--quick: {', '.join(loaded)} loaded before the first test.")
        sys.meta_path.insert(0, self)
        sys.addaudithook(self.audit)
        # What multiprocessing calls for a spawned process is not reported by Python.
        multiprocessing.util.spawnv_passfds = self.refuse  # type: ignore[assignment]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Begin anew with each test."""
        self.reason = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Report a test that failed for want of something as skipped."""
        return self._skipped((yield), item.location[1] or 0)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, Any, Any]:
        """Report a file that cannot be imported for want of something as skipped."""
        self.reason = None
        return self._skipped((yield), 0)

    def _skipped(self, report: Any, line: int) -> Any:
        if self.reason is not None and not report.passed:
            report.outcome = "skipped"
            path = report.nodeid.partition("::")[0]
            report.longrepr = (path, line + 1, f"Skipped: {self.reason}")
        return report


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the option, and what plugins declare that only the extra `dev` brings."""
    if not pluginmanager.hasplugin("timeout"):
        parser.addini("timeout", "of pytest-timeout, which is not here")
    parser.addoption(
        "--quick",
        action="store_true",
        help="only tests that start no process and need no more than the core install",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Put the guard up where tests run: here, or in each of xdist's workers."""
    for plugin, mark in (("rerunfailures", "flaky"), ("timeout", "timeout")):
        if not config.pluginmanager.hasplugin(plugin):
            config.addinivalue_line("markers", f"{mark}: of pytest-{plugin}, which is not here")
    is_controller = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    if config.getoption("quick") and not is_controller:
        # A test that is cut short leaves open what the next one would be blamed for; `make test`
        # sees what a test leaves open by itself.
        for kind in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
            config.addinivalue_line("filterwarnings", f"ignore::{kind}")
        config.pluginmanager.register(Guard(), "quick-guard")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out at once what is known to be of another tier."""
    if not config.getoption("quick"):
        return
    left_out = [item for item in items if _is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not _is_left_out(item)]


def _is_left_out(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    marks = any(item.get_closest_marker(name) is not None for name in LEFT_OUT_MARKS)
    return marks or bool(LEFT_OUT_FIXTURES & fixtures)
