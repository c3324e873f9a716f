"""What only some commands need, and what is said where it is not installed."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskstream.errors import ConfigError

CHECKOUT = Path(__file__).resolve().parents[2]
_ADVICE = re.compile(r"pip install '?maskstream\[([a-z-]+)\]'?")

TRAINING_PACKAGES = frozenset(
    {
        "torch", "torchvision", "pycocotools", "onnx", "onnxscript",
        "onnxruntime", "optuna", "matplotlib", "tensorboard", "PIL", "yaml", "defusedxml",
    }
)  # fmt: skip


@contextmanager
def needs_training_parts(command: str) -> Iterator[None]:
    """Wrap the imports of a command that needs what training needs.

    Raises:
        ConfigError: Something of it is not installed.
    """
    # Before torch is imported. Its threads spin while they wait for each other; beside another busy
    # process that makes a small network's step thirty times slower, and sleeping costs little.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        yield
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package not in TRAINING_PACKAGES:
            raise
        raise ConfigError(
            f"{command}: the package {package} is not installed; get what training needs: "
            f"{install_command('train')}"
        ) from exc


def install_command(extra: str) -> str:
    """Return the command that installs an extra for the Python that runs; it works in any folder.

    maskstream is on no package index: the extra is installed from the checkout, at the versions
    that its tests pass with.
    """
    is_here = Path.cwd() == CHECKOUT
    if not (CHECKOUT / "pyproject.toml").is_file():  # installed from a wheel that somebody built
        return f"{shlex.quote(sys.executable)} -m pip install 'maskstream[{extra}]'"
    if extra in ("train", "web-demo") and Path(sys.prefix) == CHECKOUT / ".venv":
        return "make setup-all" if is_here else f"make -C {shlex.quote(str(CHECKOUT))} setup-all"
    folder = Path() if is_here else CHECKOUT
    python = Path(sys.executable)
    if is_here and python.is_relative_to(CHECKOUT):
        python = python.relative_to(CHECKOUT)
    words = [str(python), "-m", "pip", "install", "-c", str(folder / "constraints.txt"), "-e"]
    return " ".join([*map(shlex.quote, words), shlex.quote(f"{folder}[{extra}]")])


def with_install_command(text: str) -> str:
    """Return a message whose advice to install an extra is the command that does it here."""
    return _ADVICE.sub(lambda found: install_command(found[1]), text)
