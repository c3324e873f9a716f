"""COCO JSON of the wrong types, given to every command that reads it."""

import json

import pytest

from maskstream.tools.cli import run_command_line
from tests.helpers.shapes import write_shapes

COMMANDS = {
    "train": ("train", "FILE", "-o", "OUT"),
    "train --val": ("train", "GOOD", "--val", "FILE", "-o", "OUT"),
    "tune": ("tune", "FILE", "--val", "GOOD", "-o", "OUT"),
    "eval": ("eval", "--annotations", "FILE"),
    "data check": ("data", "check", "FILE"),
    "data show": ("data", "show", "FILE", "-o", "OUT.png"),
    "data split": ("data", "split", "FILE", "-o", "OUT"),
    "data coco-subset": ("data", "coco-subset", "FILE", "--classes", "circle", "-o", "OUT"),
    "data convert": ("data", "convert", "--from", "coco", "FILE", "-o", "OUT.json"),
}

DAMAGES = {
    "annotations": ({"1": {}}, "'annotations'"),
    "annotations.1.bbox": ("1 2 3 4", "'annotations', entry 2, 'bbox'"),
    "annotations.0.bbox.2": (float("nan"), "'annotations', entry 1, 'bbox', entry 3"),
    "images.0.file_name": (7, "'images', entry 1, 'file_name'"),
    "images.1": (7, "'images', entry 2"),
    "categories.2.name": (["star"], "'categories', entry 3, 'name'"),
    "annotations.0.segmentation": (7, "'annotations', entry 1"),
    "annotations.0.iscrowd": ("no", "'annotations', entry 1, 'iscrowd'"),
}
"""The keys that lead to a value -> what stands there instead, and the place that is told."""


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"), 3)


@pytest.fixture(scope="module")
def damaged(good):
    """Writes a file with one value changed; returns its path."""

    def write(name):
        *above, last = [int(key) if key.isdigit() else key for key in name.split(".")]
        document = json.loads(good.read_text())
        inner = document
        for key in above:
            inner = inner[key]
        inner[last] = DAMAGES[name][0]
        path = good.with_name(f"{name}.json")
        path.write_text(json.dumps(document, indent=1))
        return path

    return write


def refused(command, path, good, out, capsys):
    """Return the lines in which a command refuses a file."""
    places = {"FILE": path, "GOOD": good, "OUT": out, "OUT.png": f"{out}.png"}
    places["OUT.json"] = f"{out}.json"
    assert run_command_line([str(places.get(word, word)) for word in COMMANDS[command]]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.splitlines()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_wrong_type_is_named_with_its_file_and_line(
    command, damage, damaged, good, tmp_path, capsys
):
    path = damaged(damage)
    head, *faults = refused(command, path, good, tmp_path / "out", capsys)
    assert head.startswith(f"maskstream: {path}")
    for fault in faults or [head.removeprefix("maskstream: ")]:
        line, told = fault.strip().removeprefix(f"{path}:").split(": ", 1)
        # Each object, and each list of a value, has a line of its own in the file.
        assert path.read_text().splitlines()[int(line) - 1].strip().endswith(("{", "[", ","))
        assert told.startswith(f"{DAMAGES[damage][1]}: ")


def test_a_file_of_another_kind_is_named(good, tmp_path, capsys):
    path = tmp_path / "x.json"
    for text, reason in (("[1, 2]", ":1: no list images"), ("{", ":1: Expecting property name")):
        path.write_text(text)
        for command in COMMANDS:
            (line,) = refused(command, path, good, tmp_path / "out", capsys)
            assert line.startswith(f"maskstream: {path}{reason}")


def test_a_byte_order_mark_does_no_harm(good, tmp_path, capsys):
    path = good.with_name("marked.json")
    path.write_text(good.read_text(), encoding="utf-8-sig")
    subset = ["data", "coco-subset", str(path), "--classes", "circle", "-o", str(tmp_path / "s")]
    assert run_command_line(subset) == 0
    assert (
        run_command_line(["data", "split", str(path), "-o", str(tmp_path / "p"), "--val", "0.4"])
        == 0
    )
