"""What an installation adds and how it works, of every kind, in clean environments."""

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CORE_MAX_BYTES = 650 * 10**6
BROUGHT_BY_VENV = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
SHIPPED = {
    "maskstream/py.typed",
    "maskstream/__main__.py",
    "maskstream/engines/weights/person.onnx",
    "maskstream/stream/network/web/page.html",
    "maskstream/engines/runtimes/tensorrt/frame_input.cu",
}


def call(*command, cwd=None):
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(python, *arguments):
    return call(python, "-m", "pip", "--disable-pip-version-check", "-q", *arguments)


def new_environment(folder) -> Path:
    venv.create(folder, with_pip=True, symlinks=True)
    return Path(folder) / "bin" / "python"


def built(source, folder) -> Path:
    """The wheel of a source tree or archive."""
    pip(sys.executable, "wheel", "--no-deps", "-w", folder, source)
    (path,) = Path(folder).glob("*.whl")
    return path


def names_in(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as files:
        return set(files.namelist())


def added(before: set[str], after: set[str]) -> set[str]:
    """The importable names that came, without the descriptions of distributions."""
    return {name for name in after - before if not name.endswith(".dist-info")}


@pytest.fixture(scope="module")
def wheel(repository_dir, tmp_path_factory):
    return built(repository_dir, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, repository_dir, tmp_path_factory):
    """The interpreter of an environment with a core install from the wheel, and nothing else."""
    python = new_environment(tmp_path_factory.mktemp("installed") / "venv")
    pip(python, "install", "-c", repository_dir / "constraints.txt", wheel)
    return python


@pytest.fixture
def folder(tmp_path):
    """A folder in which a user has modules of the names of our folders."""
    for name in ("train.py", "stream.py", "engines.py"):
        (tmp_path / name).write_text("OWNER = 'user'\n")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("OWNER = 'user'\n")
    return tmp_path


def test_the_wheel_holds_one_name_with_its_data_and_without_developers_rooms(wheel):
    names = names_in(wheel)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"maskstream"}
    assert names >= SHIPPED
    rooms = {"/".join(name.split("/")[:3]) for name in names}
    assert not rooms & {"maskstream/tools/bench", "maskstream/tools/dev"}


def test_the_source_archive_makes_the_same_wheel(wheel, repository_dir, tmp_path):
    python = new_environment(tmp_path / "venv")
    pip(python, "install", "hatchling")
    call(python, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=repository_dir)
    (archive,) = tmp_path.glob("*.tar.gz")
    assert names_in(built(archive, tmp_path / "wheel")) == names_in(wheel)


def test_an_install_from_git_adds_one_name(repository_dir, tmp_path):
    target = tmp_path / "site"
    pip(sys.executable, "install", "--no-deps", "--target", target, f"git+file://{repository_dir}")
    assert added(set(), {path.name for path in target.iterdir()} - {"bin"}) == {"maskstream"}
    assert (target / "maskstream" / "tools" / "cli.py").is_file()


def test_an_editable_install_is_the_checkout(repository_dir, folder):
    python = new_environment(folder / "venv")
    pip(python, "install", "--no-deps", "-e", repository_dir)
    code = "import maskstream.errors, train, tools; print(maskstream.errors.__file__, tools.OWNER)"
    path, owner = call(python, "-c", code, cwd=folder).split()
    assert Path(path).resolve().is_relative_to(repository_dir)
    assert owner == "user"


def test_a_core_install_is_small_and_has_no_torch(installed):
    site = next(installed.parent.parent.glob("lib/python3*/site-packages"))
    ours = [path for path in site.iterdir() if not path.name.startswith(BROUGHT_BY_VENV)]
    files = [file for path in ours for file in (path, *path.rglob("*")) if file.is_file()]
    assert sum(file.lstat().st_size for file in files) <= CORE_MAX_BYTES
    assert not (site / "torch").exists()
    for name in ("stream", "engines", "train", "tools"):
        assert not (site / name).exists()


def test_beside_a_users_modules_of_the_same_names_all_works(installed, folder):
    command = installed.parent / "maskstream"
    assert call(command, "--version", cwd=folder).startswith("maskstream ")
    assert call(installed, "-m", "maskstream", "--version", cwd=folder).startswith("maskstream ")
    listed = json.loads(call(command, "engines", "--json", cwd=folder))
    assert "person" in {entry["name"] for entry in listed}
    source = "synthetic:numbered?size=320x240&frames=8"
    call(command, "run", source, "-o", "out.mp4", "--results", "r.ndjson", cwd=folder)
    assert len((folder / "r.ndjson").read_text().splitlines()) == 8
    code = "import maskstream, train, stream; print(train.OWNER, maskstream.open.__name__)"
    assert call(installed, "-c", code, cwd=folder).split() == ["user", "open"]


def test_the_developers_benches_are_said_to_be_elsewhere(installed, folder):
    done = subprocess.run(
        [installed, "-m", "maskstream", "bench", "x.mp4", "--only", "kills"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "maskstream: --only: no part is called 'kills' (a checkout of the repository has more); "
        "use some of engine, line, images.\n"
    )
