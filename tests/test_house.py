"""The rules of the house: who may import whom, and what must not stand in the repository."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import LONG_FILES, TESTS_DIR

FOLDERS = ("engines", "stream", "train", "tools")
MAY_IMPORT = {
    "engines": {"engines"},
    "stream": {"stream", "engines"},
    "train": {"train", "engines"},
    "tools": {"tools", "train", "stream", "engines"},
}
FILE_MAX_BYTES = 20 * 1024 * 1024


def modules_imported(path: Path) -> Iterator[str]:
    """Every absolute module name that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def tracked_files(repository_dir: Path) -> list[Path]:
    """What git would hand to somebody who clones: tracked, or new and not ignored."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=repository_dir,
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("git, or the repository's history, is not here to list the files with.")
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return [path for name in names if (path := repository_dir / name).is_file()]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_what_its_place_allows(folder, repository_dir):
    wrong = [
        f"{path.relative_to(repository_dir)} imports {name}"
        for path in sorted((repository_dir / folder).rglob("*.py"))
        for name in modules_imported(path)
        if name.split(".")[0] in FOLDERS and name.split(".")[0] not in MAY_IMPORT[folder]
    ]
    assert wrong == []


def test_stream_never_names_torch(repository_dir):
    wrong = [
        str(path.relative_to(repository_dir))
        for path in sorted((repository_dir / "stream").rglob("*.py"))
        if {"torch", "torchvision"} & {name.split(".")[0] for name in modules_imported(path)}
    ]
    assert wrong == []


def test_loading_the_command_and_the_line_loads_no_torch(repository_dir):
    """All that `maskstream run` imports before it opens an engine, in a fresh interpreter."""
    code = (
        "import importlib, pkgutil, sys, tools.cli, engines, stream\n"
        "for module in pkgutil.walk_packages(stream.__path__, 'stream.'):\n"
        "    importlib.import_module(module.name)\n"
        "found = {n.split('.')[0] for n in sys.modules} & {'torch', 'torchvision', 'pycocotools'}\n"
        "sys.exit(f'loaded: {found}' if found else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_files_of_tests_that_are_begun_first_are_there():
    assert [name for name in LONG_FILES if not (TESTS_DIR / name).is_file()] == []


def test_no_registry_host_stands_in_the_repository(repository_dir):
    # Spelled in parts, so that this file does not hold what it looks for.
    hosts = [
        ".".join(parts)
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("registry", "npmjs", "org"),
            ("deb", "debian", "org"),
            ("download", "pytorch", "org"),
            ("pypi", "nvidia", "com"),
            ("proxy", "golang", "org"),
        )
    ]
    assert lines_matching(repository_dir, "|".join(map(re.escape, hosts))) == []


def test_no_path_of_one_machine_stands_in_the_repository(repository_dir):
    roots = ("work", "home", "Users", "mnt/data", "workspace")
    assert lines_matching(repository_dir, rf"(?<![\w.~$}}])/(?:{'|'.join(roots)})/\w") == []


def test_no_file_is_too_large_for_a_repository(repository_dir):
    large = {
        str(path.relative_to(repository_dir)): path.stat().st_size
        for path in tracked_files(repository_dir)
        if path.stat().st_size > FILE_MAX_BYTES
    }
    assert large == {}


def lines_matching(repository_dir: Path, pattern: str) -> list[str]:
    """`file:line: text` of every line of a text file that matches."""
    found = []
    for path in tracked_files(repository_dir):
        content = path.read_bytes()
        if b"\0" in content[:8192]:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{path.relative_to(repository_dir)}:{number}: {line.strip()[:100]}")
    return found
