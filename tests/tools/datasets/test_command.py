"""`maskstream data`, as a user types it."""

import json

import cv2
import pytest

from maskstream.errors import ConfigError, OutputError
from maskstream.tools.cli import run_command_line
from maskstream.tools.datasets.command import FormatName, data_app
from maskstream.train.errors import AnnotationError
from maskstream.train.formats import FORMATS
from tests.helpers.made import make_set
from tests.helpers.shapes import write_shapes


def run(*arguments: object) -> None:
    """Run `maskstream data` with arguments."""
    data_app([str(argument) for argument in arguments], prog_name="data", standalone_mode=False)


def test_the_command_knows_every_format():
    assert [name.value for name in FormatName] == list(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_set_goes_to_any_format_and_back_to_coco(name, tmp_path, capsys):
    FORMATS["coco"].write(make_set(tmp_path / "p"), tmp_path / "made.json")
    there = tmp_path / ("there" if FORMATS[name].is_folder else "there.json")
    run("convert", "--from", "coco", "--to", name, tmp_path / "made.json", "-o", there)
    run("convert", "--from", name, there, "-o", tmp_path / "back.json")
    out, err = capsys.readouterr()
    assert out.splitlines() == [str(there), str(tmp_path / "back.json")]
    assert "3 pictures, 4 objects, 3 with a mask; classes: apple, Grüne Birne" in err
    document = json.loads((tmp_path / "back.json").read_text())
    masks = [a for a in document["annotations"] if "segmentation" in a]
    assert len(masks) == 3


def test_what_is_left_out_is_counted(tmp_path, capsys):
    FORMATS["coco"].write(make_set(tmp_path / "p", has_crowd=True), tmp_path / "made.json")
    made = tmp_path / "made.json"
    run("convert", "--from", "coco", "--to", "via", made, "-o", tmp_path / "v.json",
        "--classes", "apple")  # fmt: skip
    assert capsys.readouterr().err.splitlines() == [
        "3 pictures, 3 objects, 2 with a mask; classes: apple",
        "left out: 2 objects of the class Grüne Birne, which --classes does not name",
        "left out: 1 regions of many objects (crowds), which the format cannot hold",
    ]


def test_faults_are_told_and_nothing_is_written(tmp_path, capsys):
    (tmp_path / "via.json").write_text('{"a": {"filename": "no.jpg", "regions": []}}')
    arguments = ["data", "convert", "--from", "via", str(tmp_path / "via.json"), "-o"]
    arguments += [str(tmp_path / "out.json"), "--class-attribute", "kind"]
    assert run_command_line(arguments) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path / 'via.json'}:1: 'a': no.jpg: no such picture below" in err
    assert not (tmp_path / "out.json").exists()


def test_wrong_places_and_classes_are_refused(tmp_path):
    FORMATS["coco"].write(make_set(tmp_path / "p"), tmp_path / "made.json")
    made, full = tmp_path / "made.json", tmp_path / "p"
    with pytest.raises(OutputError, match="it is the source itself"):
        run("convert", "--from", "coco", made, "-o", made)
    with pytest.raises(OutputError, match="a new or empty folder is needed"):
        run("convert", "--from", "coco", "--to", "yolo", made, "-o", full)
    with pytest.raises(OutputError, match="does not exist; make it first"):
        run("convert", "--from", "coco", "--to", "yolo", made, "-o", tmp_path / "a" / "b")
    with pytest.raises(ConfigError, match="no such file or folder"):
        run("convert", "--from", "coco", tmp_path / "none.json", "-o", tmp_path / "o.json")
    with pytest.raises(ConfigError, match="--classes: 'plum'; different ones of apple"):
        run("convert", "--from", "coco", made, "-o", tmp_path / "o.json", "--classes", "plum")
    with pytest.raises(OutputError, match=r"has to be \.png"):
        run("show", made, "-o", tmp_path / "sheet.jpg")
    with pytest.raises(ConfigError, match="nothing is left for training"):
        run("split", made, "-o", tmp_path / "s", "--val", "0.6", "--test", "0.5")


def test_check_lists_classes_and_pictures_that_are_in_both_files(tmp_path, capsys):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, seed in ((one, 0), (two, 1)):
        folder.mkdir()
        write_shapes(folder, 3, seed=seed)
    (two / "0002.png").write_bytes((one / "0001.png").read_bytes())
    run("check", one / "shapes.json", two / "shapes.json")
    out = capsys.readouterr().out
    assert f"{one / 'shapes.json'}: 3 pictures" in out
    assert "class 0 circle = category 3" in out
    assert f"the same picture: {one / '0001.png'}, {two / '0002.png'}" in out
    assert "ends too early" not in out
    (one / "0002.png").write_bytes((one / "0002.png").read_bytes()[:-20])
    run("check", one / "shapes.json")
    assert f"grey from there on: {one / '0002.png'}\n" in capsys.readouterr().out
    (one / "0003.png").unlink()
    with pytest.raises(AnnotationError, match=r"0003\.png: no such picture"):
        run("check", one / "shapes.json")


def test_check_names_the_lines_of_what_is_no_coco(tmp_path):
    source = write_shapes(tmp_path, 1)
    document = json.loads(source.read_text())
    del document["images"][0]["width"]
    document["annotations"][0]["bbox"][2] = "wide"
    source.write_text(json.dumps(document, indent=1))
    with pytest.raises(AnnotationError) as caught:
        run("check", source)
    text = str(caught.value)
    assert f"{source}:4: 'images', entry 1: has no width" in text
    assert "'annotations', entry 1, 'bbox', entry 3: is 'wide'; input should be" in text
    document["annotations"][0]["bbox"][2] = 3
    document["images"][0]["width"] = 96
    document["annotations"][0]["segmentation"]["counts"] = "not run-length code"
    source.write_text(json.dumps(document))
    with pytest.raises(AnnotationError, match="entry 1: its mask is no run-length code"):
        run("check", source)


def test_a_division_that_would_leave_a_part_empty_or_replace_its_source_is_refused(tmp_path):
    made = write_shapes(tmp_path, 3)
    with pytest.raises(AnnotationError, match="3 pictures, which leaves none for test; more"):
        run("split", made, "-o", tmp_path / "s", "--val", "0.4", "--test", "0.1")
    assert not (tmp_path / "s").exists()
    made.rename(tmp_path / "train.json")
    before = (tmp_path / "train.json").read_bytes()
    with pytest.raises(OutputError, match="is what is to be divided"):
        run("split", tmp_path / "train.json", "-o", tmp_path)
    assert (tmp_path / "train.json").read_bytes() == before
    with pytest.raises(OutputError, match=r"is a file; a folder is needed\."):
        run("split", tmp_path / "train.json", "-o", tmp_path / "train.json")
    with pytest.raises(OutputError, match="make it first: mkdir -p"):
        run("split", tmp_path / "train.json", "-o", tmp_path / "a" / "b")


def test_show_draws_a_sheet(tmp_path, capsys):
    run("show", write_shapes(tmp_path, 5), "-o", tmp_path / "sheet.png", "--count", "4")
    assert capsys.readouterr().out.strip() == str(tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_split_divides_all_pictures_and_keeps_what_else_is_said(tmp_path, capsys):
    source = write_shapes(tmp_path, 20)
    document = json.loads(source.read_text())
    document["info"] = {"year": 2026}
    source.write_text(json.dumps(document))
    run("split", source, "-o", tmp_path / "parts", "--val", "0.2", "--test", "0.1", "--seed", "7")
    parts = {
        name: json.loads((tmp_path / "parts" / f"{name}.json").read_text())
        for name in ("train", "val", "test")
    }
    ids = [image["id"] for part in parts.values() for image in part["images"]]
    assert sorted(ids) == list(range(1, 21))
    assert [len(part["images"]) for part in parts.values()] == [14, 4, 2]
    assert sum(len(p["annotations"]) for p in parts.values()) == len(document["annotations"])
    assert {part["info"]["year"] for part in parts.values()} == {2026}
    # The pictures are found from the new folder.
    run("check", *(tmp_path / "parts" / f"{name}.json" for name in parts))
    assert "the same picture" not in capsys.readouterr().out
