"""What is said where training's packages are not installed, and how their threads wait."""

import os

import pytest

from maskstream.errors import ConfigError
from maskstream.tools.arguments import extras
from maskstream.tools.arguments.extras import (
    install_command,
    needs_training_parts,
    with_install_command,
)


@pytest.mark.parametrize("name", ["torch.nn", "optuna", "matplotlib.figure", "PIL"])
def test_a_package_of_training_that_is_absent_is_named_with_what_to_do(monkeypatch, name):
    monkeypatch.setattr("sys.prefix", f"{extras.CHECKOUT}/.venv")
    with (
        pytest.raises(ConfigError, match=rf"tune: the package {name.split('.')[0]} is not .* make"),
        needs_training_parts("tune"),
    ):
        raise ModuleNotFoundError(name=name)


def test_our_own_missing_modules_are_no_mistake_of_the_user():
    with pytest.raises(ModuleNotFoundError), needs_training_parts("tune"):
        raise ModuleNotFoundError(name="maskstream.train.absent")


@pytest.mark.parametrize(("before", "after"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_the_user_said_otherwise(monkeypatch, before, after):
    monkeypatch.setenv("OMP_WAIT_POLICY", before or "")
    if before is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    with needs_training_parts("train"):
        assert os.environ["OMP_WAIT_POLICY"] == after


def test_the_advice_to_install_an_extra_is_a_command_for_this_checkout(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.executable", f"{extras.CHECKOUT}/.venv/bin/python")
    monkeypatch.setattr("sys.prefix", f"{extras.CHECKOUT}/.venv")
    monkeypatch.chdir(extras.CHECKOUT)
    pip = ".venv/bin/python -m pip install -c constraints.txt -e '.[tensorrt-rtx]'"
    said = "not installed: pip install 'maskstream[tensorrt-rtx]'."
    assert with_install_command(said) == f"not installed: {pip}."
    assert install_command("train") == "make setup-all"
    monkeypatch.chdir(tmp_path)
    root = extras.CHECKOUT
    assert install_command("onnxruntime") == (
        f"{root}/.venv/bin/python -m pip install -c {root}/constraints.txt -e '{root}[onnxruntime]'"
    )
    assert install_command("web-demo") == f"make -C {root} setup-all"
    monkeypatch.setattr("maskstream.tools.arguments.extras.CHECKOUT", tmp_path)
    assert install_command("train").endswith("/python -m pip install 'maskstream[train]'")
