"""The rules of the house: who may import whom, and what must not stand in the repository."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import LONG_FILES, TESTS_DIR
from tests.rooms import MAY_IMPORT

FOLDERS = ("engines", "stream", "train", "tools")
ROOM_MAX_MODULES = 20
FUNCTION_MAX_LINES = 60
FILE_MAX_BYTES = 20 * 1024 * 1024


def names_imported(path: Path) -> Iterator[str]:
    """Every absolute name that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


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


def our_files(repository_dir: Path) -> list[Path]:
    """The files of code in the four folders, relative to the repository."""
    return sorted(
        path.relative_to(repository_dir)
        for folder in FOLDERS
        for path in (repository_dir / folder).rglob("*.py")
    )


def room_of(path: Path) -> str:
    """The room that a file lies in; a module at the top of a folder is a room of its own."""
    if path.name == "__init__.py" or len(path.parts) > 2:
        return ".".join(path.parent.parts)
    return ".".join(path.with_suffix("").parts)


def rooms_imported(repository_dir: Path, path: Path) -> set[str]:
    """The rooms that a file imports from, at any depth of its code."""
    rooms = set()
    for name in names_imported(repository_dir / path):
        if name.split(".")[0] != "maskstream":
            continue
        place = Path(*name.split(".")[1:])
        while place.parts and not (
            (repository_dir / place).is_dir() or (repository_dir / f"{place}.py").is_file()
        ):
            place = place.parent
        if place.parts:
            is_folder = (repository_dir / place).is_dir()
            rooms.add(room_of(place / "__init__.py" if is_folder else place.with_suffix(".py")))
    return rooms - {room_of(path), "errors"}


def test_rooms_import_only_what_the_table_allows(repository_dir):
    wrong = [
        f"{path} imports {room}"
        for path in our_files(repository_dir)
        for room in sorted(rooms_imported(repository_dir, path))
        if room not in MAY_IMPORT.get(room_of(path), "").split()
    ]
    assert wrong == []


def test_the_table_of_rooms_has_no_circle_and_no_idle_entry(repository_dir):
    names = list(MAY_IMPORT)
    ranks = {name: rank for rank, name in enumerate(names)}
    upwards = [
        f"{room} -> {other}"
        for room, others in MAY_IMPORT.items()
        for other in others.split()
        if ranks[other] >= ranks[room]
    ]
    used = {
        (room_of(path), room)
        for path in our_files(repository_dir)
        for room in rooms_imported(repository_dir, path)
    }
    allowed = {(room, other) for room, others in MAY_IMPORT.items() for other in others.split()}
    assert (upwards, sorted(allowed - used)) == ([], [])


def test_a_room_holds_no_more_than_a_reader_can_take_in(repository_dir):
    counts = Counter(
        room_of(path)
        for path in our_files(repository_dir)
        if path.name != "__init__.py" and len(path.parts) > 2
    )
    assert {room: count for room, count in counts.items() if count > ROOM_MAX_MODULES} == {}


def test_rooms_are_two_levels_deep_at_most_and_say_what_lives_in_them(repository_dir):
    rooms = {path.parent for path in our_files(repository_dir)}
    assert [str(room) for room in rooms if len(room.parts) > 3] == []
    silent = [
        str(room)
        for room in sorted(rooms)
        if not ast.get_docstring(ast.parse((repository_dir / room / "__init__.py").read_text()))
    ]
    assert silent == []


def test_no_module_of_ours_is_imported_by_a_bare_name(repository_dir):
    tests = (repository_dir / "tests").rglob("*.py")
    files = [*our_files(repository_dir), *(path.relative_to(repository_dir) for path in tests)]
    wrong = [
        f"{path} imports {name}"
        for path in files
        for name in names_imported(repository_dir / path)
        if name.split(".")[0] in FOLDERS
    ]
    assert wrong == []


def test_no_function_is_longer_than_a_reader_keeps_in_mind(repository_dir):
    long = [
        f"{path}: {node.name} has {lines} lines"
        for path in our_files(repository_dir)
        for node in ast.walk(ast.parse((repository_dir / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_MAX_LINES
    ]
    assert long == []


def public_definitions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Public functions, classes and methods of a module, each with its dotted name."""
    todo: list[tuple[str, ast.AST]] = [("", tree)]
    while todo:
        prefix, parent = todo.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                if node.name.startswith("_"):
                    continue
                yield prefix + node.name, node
                if isinstance(node, ast.ClassDef):
                    todo.append((f"{prefix}{node.name}.", node))


def test_everything_public_has_a_docstring_and_annotations(repository_dir):
    wrong = []
    for path in our_files(repository_dir):
        for name, node in public_definitions(ast.parse((repository_dir / path).read_text())):
            if not ast.get_docstring(node):  # type: ignore[arg-type]
                wrong.append(f"{path}: {name} has no docstring")
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is None:
                wrong.append(f"{path}: {name} does not say what it returns")
    assert wrong == []


def test_stream_never_names_torch(repository_dir):
    wrong = [
        str(path.relative_to(repository_dir))
        for path in sorted((repository_dir / "stream").rglob("*.py"))
        if {"torch", "torchvision"} & {name.split(".")[0] for name in names_imported(path)}
    ]
    assert wrong == []


def test_loading_the_command_and_the_line_loads_no_torch(repository_dir):
    """All that `maskstream run` imports before it opens an engine, in a fresh interpreter."""
    code = (
        "import importlib, pkgutil, sys, maskstream.tools.cli, maskstream.engines\n"
        "import maskstream.stream as stream\n"
        "for module in pkgutil.walk_packages(stream.__path__, 'maskstream.stream.'):\n"
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
