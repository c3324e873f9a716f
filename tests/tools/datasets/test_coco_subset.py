"""`maskstream data coco-subset`: some classes of a set as a set of its own."""

import json
from collections import Counter

import pytest
import typer

from maskstream.errors import ConfigError
from maskstream.tools.datasets.coco_subset import coco_subset
from maskstream.train.samples.coco import read_coco
from tests.helpers.shapes import write_shapes

app = typer.Typer()
app.command()(coco_subset)


def run(*arguments: object) -> None:
    """Run `maskstream data coco-subset` with arguments."""
    app([str(argument) for argument in arguments], prog_name="x", standalone_mode=False)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"), 8)


@pytest.fixture(scope="module")
def squares(shapes):
    """The square's annotations of the whole set."""
    return [a for a in json.loads(shapes.read_text())["annotations"] if a["category_id"] == 7]


def test_a_subset_holds_the_pictures_and_objects_of_its_classes(shapes, squares, tmp_path, capsys):
    run(shapes, "--classes", "square", "-o", tmp_path / "s")
    subset = read_coco(tmp_path / "s/shapes.json")
    assert subset.class_names == ("square",)
    assert subset.category_ids == (7,)
    counts = Counter(a["image_id"] for a in squares)
    assert {i.image_id: len(i.annotations) for i in subset.images} == counts
    for image in subset.images:
        assert image.path.samefile(shapes.parent / image.path.name)  # a link
        image.read()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"square: {len(squares)} objects in {len(counts)} pictures"
    assert lines[1] == (
        f"{tmp_path / 's/shapes.json'}: {len(counts)} of 8 pictures, {len(counts)} linked and "
        f"0 copied; {len(squares)} objects"
    )


def test_pictures_can_be_copied(shapes, tmp_path):
    run(shapes, "--classes", "square,circle", "-o", tmp_path / "s", "--copy")
    subset = read_coco(tmp_path / "s/shapes.json")
    assert len(subset.images) == 8
    for image in subset.images:
        source = shapes.parent / image.path.name
        assert image.path.read_bytes() == source.read_bytes()
        assert not image.path.samefile(source)


def test_pictures_of_one_name_in_two_folders_are_told_apart(shapes, tmp_path):
    document = json.loads(shapes.read_text())
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for image, folder in zip(document["images"][:2], ("a", "b"), strict=True):
        source = shapes.parent / image["file_name"]
        image["file_name"] = f"{folder}/x.png"
        (tmp_path / image["file_name"]).write_bytes(source.read_bytes())
    document["images"] = document["images"][:2]
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] < 3]
    (tmp_path / "two.json").write_text(json.dumps(document))
    run(tmp_path / "two.json", "--classes", "square,circle", "-o", tmp_path / "s")
    names = [image.path.name for image in read_coco(tmp_path / "s/two.json").images]
    assert names == ["x.png", "x-2.png"]


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        ("sqare", "has no class sqare; did you mean square?"),
        ("zebra", "has no class zebra; it has circle, square, star"),
        (" , ", "no name was given"),
    ],
)
def test_classes_that_there_are_not_are_refused(shapes, tmp_path, classes, reason):
    with pytest.raises(ConfigError, match=reason.replace("?", r"\?")):
        run(shapes, "--classes", classes, "-o", tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_set_that_is_there_is_not_written_over(shapes, tmp_path):
    run(shapes, "--classes", "square", "-o", tmp_path)
    with pytest.raises(ConfigError, match="is there already"):
        run(shapes, "--classes", "circle", "-o", tmp_path)
