"""What other tools, and other versions of the same ones, write in place of the usual layout."""

import numpy as np
import pytest
from PIL import Image

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.brush_code import encode_brush
from tests.helpers.made import read, write

SQUARE = np.zeros((10, 20), np.uint8)
SQUARE[1:4, 2:6] = 1
CORNERS = [2, 1, 6, 1, 6, 4, 2, 4]


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (20, 10)).save(tmp_path / name)
    return tmp_path


def via3(metadata, options):
    return {
        "project": {"vid_list": ["1", "2"]},
        "attribute": {"1": {"aname": "kind", "type": 4, "options": options}},
        "file": {"1": {"fname": "a.jpg"}, "2": {"fname": "b.jpg"}},
        "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}, "3": {"fid_list": [1, 2]}},
        "metadata": {
            str(number): {"vid": vid, "flg": 0, "z": z, "xy": xy, "av": av}
            for number, (vid, z, xy, av) in enumerate(metadata)
        },
    }


def test_a_project_of_via_3_is_read(folder):
    metadata = [
        ("1", [], [7, *CORNERS], {"1": "0"}),
        ("1", [], [2, 3, 2, 5, 6], {"1": "1"}),
        ("1", [], [8, 3, 5, 8, 4, 5, 2, 6, 8], {"1": "1"}),  # the four outermost points
        ("2", [], [3, 8, 5, 4], {"1": "0"}),
        ("2", [], [4, 8, 5, 4, 2], {"1": "1"}),
        ("2", [], [1, 8, 5], {"1": "1"}),
        ("1", [1.5, 2.5], [], {"1": "1"}),
        ("1", [], [], {"1": "1"}),
        ("3", [], [7, *CORNERS], {"1": "0"}),
    ]
    found = read("via", write(folder / "via.json", via3(metadata, {"0": "mug", "1": "cup"})))
    square, placed, outermost = found.pictures[0].objects
    assert (square.class_name, square.mask(10, 20).tolist()) == ("mug", SQUARE.tolist())
    assert (placed.class_name, placed.box(10, 20)) == ("cup", (3, 2, 5, 6))
    assert outermost.box(10, 20) == (3, 2, 5, 6)
    circle, ellipse = found.pictures[1].objects
    assert circle.mask(10, 20).sum() == pytest.approx(np.pi * 16, rel=0.1)
    assert ellipse.mask(10, 20).sum() == pytest.approx(np.pi * 8, rel=0.15)
    assert found.left_out == {
        "regions of the kind point, which have no area": 1,
        "regions and segments of a moment of a video": 1,
        "attributes of whole pictures": 1,
        "regions of no picture, or of several": 1,
    }


def test_a_fault_in_a_project_of_via_3_has_its_line(folder):
    document = via3([("1", [], [7, 1, 1, 5, 5], {"1": "mug"})], None)
    path = write(folder / "via.json", document)
    line = next(n for n, s in enumerate(path.read_text().splitlines(), 1) if '"metadata"' in s) + 1
    with pytest.raises(AnnotationError) as caught:
        read("via", path)
    assert f"{path}:{line}: 'metadata', '0': a polygon of 2 points" in str(caught.value)
    document["metadata"]["0"]["xy"][0] = "7"
    with pytest.raises(AnnotationError, match="'xy', entry 1: is '7'; input should be a valid"):
        read("via", write(path, document))


def test_label_studio_names_regions_by_a_tag_of_their_own(folder):
    points = {"points": [[10, 10], [30, 10], [30, 40], [10, 40]]}
    brush = {"format": "rle", "rle": encode_brush(SQUARE)}
    sides = {"original_width": 20, "original_height": 10}
    results = [
        sides | {"id": "x", "type": "polygon", "value": points},
        sides | {"id": "x", "type": "labels", "value": points | {"labels": ["mug"]}},
        sides | {"id": "y", "type": "labels", "value": brush | {"labels": ["cup"]}},
        sides | {"id": "y", "type": "brush", "value": brush},
        sides | {"id": "z", "type": "polygon", "value": points},
        {"id": "w", "type": "labels", "value": {"start": 0, "labels": ["mug"]}},
    ]
    tasks = [{"data": {"image": "a.jpg"}, "annotations": [{"result": results}]}]
    found = read("labelstudio", write(folder / "tasks.json", tasks))
    assert [o.class_name for o in found.pictures[0].objects] == ["mug", "cup"]
    assert all((o.mask(10, 20) == SQUARE).all() for o in found.pictures[0].objects)
    assert found.left_out == {"regions without a label": 1, "results of the kind labels": 1}


def test_a_folder_of_labelme_may_hold_other_json_and_rectangles_of_four_corners(folder):
    corners = [[2, 1], [6, 1], [6, 4], [2, 4]]
    shape = {"label": "mug", "shape_type": "rectangle", "points": corners}
    write(folder / "a.json", {"shapes": [shape], "imagePath": "a.jpg"})
    write(folder / "converted.json", {"images": [], "categories": [], "annotations": []})
    found = read("labelme", folder)
    assert found.pictures[0].objects[0].box(10, 20) == (2, 1, 4, 3)
    assert found.left_out["files of JSON without shapes, which are not labelme's"] == 1


@pytest.mark.parametrize(
    ("names", "text"),
    [
        pytest.param("classes.txt", "labels/a.txt", id="label-studio"),
        pytest.param("obj.names", "images/a.txt", id="cvat"),
    ],
)
def test_yolo_takes_a_list_of_names_for_its_data_yaml(folder, names, text):
    (folder / "images").mkdir()
    (folder / "a.jpg").rename(folder / "images" / "a.jpg")
    (folder / "b.jpg").unlink()
    write(folder / names, "mug\ncup\n\n")
    with pytest.raises(AnnotationError, match="none of 1 pictures has a text; the first one's"):
        read("yolo", folder)
    path = write(folder / text, "1 0.5 0.5 0.2 0.4\n")
    found = read("yolo", folder)
    assert found.class_names == ("mug", "cup")
    assert found.pictures[0].objects[0].box(10, 20) == (8, 3, 4, 4)
    path.write_bytes(b"\xff\xfe1")
    with pytest.raises(AnnotationError, match=r"a\.txt: cannot be read as text"):
        read("yolo", folder)


def test_yolo_without_names_says_what_is_needed(folder):
    with pytest.raises(AnnotationError, match=r"has no data\.yaml, no classes\.txt"):
        read("yolo", folder)


@pytest.mark.parametrize("xml", ["a.xml", "Annotations/a.xml"])
def test_voc_without_masks_has_the_classes_that_its_xml_names(folder, xml):
    corners = "<xmin>3</xmin><ymin>2</ymin><xmax>6</xmax><ymax>4</ymax>"
    text = f"<annotation><object><name>NAME</name><bndbox>{corners}</bndbox></object></annotation>"
    path = write(folder / xml, text.replace("NAME", "mug"))
    found = read("voc", folder)
    assert found.class_names == ("mug",)
    assert found.pictures[0].objects[0].box(10, 20) == (2, 1, 4, 3)
    write(path, text.replace("NAME", "cow"))
    assert len(read("voc", folder).class_names) == 20
