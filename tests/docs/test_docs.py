"""The documentation: its limits, its links, and its commands and programs, run as they stand."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from maskstream.tools.dev.reference import PATH, reference
from maskstream.tools.measuring.clips import make_clip
from tests.conftest import REPOSITORY_DIR

PAGES = [
    REPOSITORY_DIR / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
] + sorted((REPOSITORY_DIR / "docs").rglob("*.md"))
_FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NEEDS_A_RUN = "subscriber"
"""Programs that listen to a run; tests of telemetry run them beside one."""


def blocks(language):
    """Each block in a language that says no reason not to run it."""
    return [
        pytest.param(code, id=f"{page.name}:{len(code)}")
        for page in PAGES
        for found, info, code in _FENCE.findall(page.read_text(encoding="utf-8"))
        if found == language and "no-run" not in info and _NEEDS_A_RUN not in code
    ]


def anchors(page):
    """The anchors of a page's headings, as Git hosts make them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        yield re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def test_the_readme_is_short():
    text = (REPOSITORY_DIR / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert len(text.encode()) <= 9_000


def test_the_architecture_is_short():
    lines = (REPOSITORY_DIR / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    broken = []
    for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_index():
    index = (REPOSITORY_DIR / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {
        page.relative_to(REPOSITORY_DIR / "docs").as_posix()
        for page in PAGES
        if "docs" in page.parts
    }
    assert pages - {"index.md"} <= set(_LINK.findall(index))


def test_the_reference_says_what_the_commands_say():
    wanted = "run: python -m maskstream.tools.dev.reference"
    assert PATH.read_text(encoding="utf-8") == reference(), wanted


@pytest.mark.parametrize("code", blocks("toml"))
def test_toml_is_toml(code):
    assert tomllib.loads(code)


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A folder with a clip called street.mp4, and the command on the path."""
    folder = tmp_path_factory.mktemp("docs")
    make_clip(folder / "street.mp4", width=320, height=240, frame_count=20)
    return folder


def run_in(folder, *command):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.system
@pytest.mark.parametrize("code", blocks("python"))
def test_programs_run_as_they_stand(code, street):
    (street / "program.py").write_text(code, encoding="utf-8")
    done = run_in(street, sys.executable, "program.py")
    assert done.returncode == 0, done.stderr


@pytest.mark.system
@pytest.mark.parametrize("code", blocks("sh"))
def test_commands_run_as_they_stand(code, street):
    done = run_in(street, "bash", "-euo", "pipefail", "-c", code)
    assert done.returncode == 0, done.stderr
