"""Files as the tools themselves write them, with values worked out by hand; and broken ones."""

import base64
import math

import cv2
import numpy as np
import pytest
from PIL import Image

from maskstream.train.errors import AnnotationError
from maskstream.train.formats import FORMATS
from maskstream.train.formats.brush_code import decode_brush, encode_brush
from maskstream.train.formats.labelled import LabelledObject, LabelledPicture, LabelledSet
from tests.helpers.made import read, write

SIDE = (20, 10)
"""Width and height of each picture."""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", SIDE).save(tmp_path / "images" / name)
    return tmp_path


def faults(name, source, **options):
    with pytest.raises(AnnotationError) as caught:
        read(name, source, **options)
    return str(caught.value)


# VGG Image Annotator


def via_entry(name, *regions):
    return {"filename": name, "size": 1, "regions": list(regions), "file_attributes": {}}


def via_region(attributes=None, **shape):
    return {"shape_attributes": shape, "region_attributes": attributes or {"kind": "mug"}}


SQUARE = {"name": "polygon", "all_points_x": [2, 6, 6, 2], "all_points_y": [1, 1, 4, 4]}


def test_via_has_regions_by_number_or_in_a_list_or_in_a_project(folder):
    numbered = via_entry("a.jpg") | {"regions": {"0": via_region(**SQUARE)}}
    for document in (
        {"a.jpg1": numbered},
        {"a.jpg1": via_entry("a.jpg", via_region(**SQUARE))},
        {"_via_settings": {}, "_via_img_metadata": {"a": via_entry("a.jpg", via_region(**SQUARE))}},
    ):
        found = read("via", write(folder / "via.json", document))
        (mug,) = found.pictures[0].objects
        mask = np.zeros((10, 20), np.uint8)
        mask[1:4, 2:6] = 1
        assert np.array_equal(mug.mask(10, 20), mask)
        assert found.class_names == ("mug",)


def test_via_has_ellipses_rectangles_and_lines(folder):
    regions = [
        via_region(name="circle", cx=8, cy=5, r=4),
        via_region(name="ellipse", cx=8, cy=5, rx=2, ry=4, theta=math.pi / 2),
        via_region(name="rect", x=1, y=2, width=5, height=6),
        via_region(name="polyline", all_points_x=[1, 2], all_points_y=[1, 2]),
        via_region({"kind": {"mug": True, "cup": False}}, **SQUARE),
        via_region({"kind": ""}, **SQUARE),
    ]
    found = read("via", write(folder / "via.json", {"a": via_entry("a.jpg", *regions)}))
    circle, turned, rect, ticked = found.pictures[0].objects
    assert circle.mask(10, 20).sum() == pytest.approx(math.pi * 16, rel=0.05)
    # A quarter turn: now it is 8 wide and 4 high.
    assert turned.box(10, 20) == pytest.approx((4, 3, 8, 4), abs=1)
    assert (rect.segmentation, rect.box(10, 20)) == (None, (1, 2, 5, 6))
    assert ticked.class_name == "mug"
    assert found.left_out == {
        "regions of the kind polyline, which have no area": 1,
        "regions without the attribute kind": 1,
    }


def test_via_faults_have_their_lines(folder):
    document = {
        "a": via_entry("a.jpg", via_region(**SQUARE), via_region(name="rect", x=1, y=2)),
        "b": via_entry("b.jpg", via_region(**SQUARE | {"all_points_x": [1, 2]})),
        "c": via_entry("c.jpg"),
        "d": via_entry("b.jpg", via_region(name="circle", cx=1, cy=1, r=0)),
    }
    path = write(folder / "via.json", document)
    lines = path.read_text().splitlines()
    text = faults("via", path)
    rect = next(i for i, line in enumerate(lines, 1) if '"rect"' in line) - 2
    assert "4 faults to be mended first" in text
    assert f"{path}:{rect}: 'a', 'regions', entry 2: has no 'width'" in text
    assert "'b', 'regions', entry 1: the points of a polygon are no pairs" in text
    assert "'c': c.jpg: no such picture below" in text
    assert "'d', 'regions', entry 1: radii of 0 and 0" in text


def test_via_asks_which_attribute_is_the_class(folder):
    entry = via_entry("a.jpg", via_region({"kind": "mug", "colour": "red"}, **SQUARE))
    path = write(folder / "via.json", {"a": entry})
    assert "its regions have colour, kind; one has to name the class" in faults("via", path)
    assert read("via", path, class_attribute="colour").class_names == ("red",)
    bare = via_entry("a.jpg", via_region(**SQUARE) | {"region_attributes": {}})
    assert "its regions have no attribute" in faults("via", write(path, {"a": bare}))
    assert "save the annotations of VIA" in faults("via", write(path, [1]))


@pytest.mark.parametrize(("split", "pictures", "mugs"), [("train", 60, 70), ("val", 10, 11)])
def test_the_mugs_are_read(shared_dir, split, pictures, mugs):
    (path,) = (shared_dir / "data" / "formats" / "via_mug" / split).glob("*.json")
    text = path.read_text()
    assert (text.count('"filename"'), text.count('"all_points_x"')) == (pictures, mugs)
    found = read("via", path)
    assert (len(found.pictures), sum(len(p.objects) for p in found.pictures)) == (pictures, mugs)
    assert (found.class_names, found.left_out) == (("mug",), {})


# Broken JSON, for all that read it


@pytest.mark.parametrize("name", ["coco", "labelstudio", "via", "labelme"])
def test_broken_json_is_named_with_its_line(name, folder):
    path = write(folder / "broken.json", '{\n"a": 1,\n"b" 2}')
    assert f"{path}:3: Expecting ':' delimiter at column 5" in faults(name, path)
    assert "none.json: no such file" in faults(name, folder / "none.json")
    assert "in lists without end" in faults(name, write(path, "[" * 100_000))
    path.write_bytes("{}".encode("utf-16"))
    assert "is no text in UTF-8 (byte 1)" in faults(name, path)
    if name in ("coco", "via"):
        assert "the JSON file itself is needed" in faults(name, folder)
    assert f"{path}:1: no " in faults(name, write(path, "{}"))


# COCO


def test_coco_finds_pictures_by_their_bare_name_and_counts_what_it_leaves(folder):
    document = {
        "images": [{"id": 5, "file_name": "far/away/a.jpg", "width": 20, "height": 10}],
        "categories": [{"id": 9, "name": "mug"}, {"id": 4, "name": "cup"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 9, "bbox": [2, 1, 4, 3], "iscrowd": 0,
             "segmentation": {"size": [10, 20], "counts": [21, 3, 176]}},
            {"id": 2, "image_id": 5, "category_id": 9, "bbox": [2, 1, 0, 3]},
        ],
    }  # fmt: skip
    found = read("coco", write(folder / "coco.json", document))
    (mug,) = found.pictures[0].objects
    # Runs go down the columns: 21 zeros are two columns and one pixel.
    assert np.argwhere(mug.mask(10, 20)).tolist() == [[1, 2], [2, 2], [3, 2]]
    assert found.class_names == ("cup", "mug")
    assert found.left_out == {"objects with an empty box": 1}
    document["annotations"][0]["category_id"] = 1
    path = write(folder / "coco.json", document)
    assert "annotation 1: is of category 1" in faults("coco", path)
    document["images"].append({"id": 6, "file_name": "c.jpg", "width": 20, "height": 10})
    write(path, document)
    line = path.read_text().splitlines().index('   "id": 6,')
    assert f"{path}:{line}: 'images', entry 2: c.jpg: no such picture" in faults("coco", path)


# Label Studio


def task(name, *results, **more):
    data = {"data": {"image": name}, "annotations": [{"result": list(results)} | more]}
    return {"id": 1, **data}


def result(kind, labels, value, **more):
    return {
        "type": kind,
        "original_width": 20,
        "original_height": 10,
        "image_rotation": 0,
        "value": {**value, kind: labels},
        **more,
    }


def test_label_studio_has_polygons_brushes_and_rectangles_in_hundredths(folder):
    (folder / "images" / "0a1b2c3d-c.jpg").write_bytes((folder / "images/a.jpg").read_bytes())
    mask = np.zeros((10, 20), np.uint8)
    mask[3:5, 7:9] = 1
    tasks = [
        task(
            "/data/upload/3/0a1b2c3d-a.jpg",
            result("polygonlabels", ["mug"], {"points": [[10, 10], [30, 10], [30, 40], [10, 40]]}),
            result("brushlabels", ["cup"], {"format": "rle", "rle": encode_brush(mask)}),
            result("rectanglelabels", ["mug"], {"x": 10, "y": 20, "width": 25, "height": 50}),
            result("ellipselabels", ["mug"], {"x": 50, "y": 50, "radiusX": 20, "radiusY": 20}),
            result("choices", ["good"], {}),
            {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"},
        ),
        task("/data/local-files/?d=some/b.jpg"),
        task("s3://bucket/images/0a1b2c3d-c.jpg"),
    ]
    found = read("labelstudio", write(folder / "export.json", tasks))
    assert [p.path.name for p in found.pictures] == ["a.jpg", "b.jpg", "0a1b2c3d-c.jpg"]
    polygon, brush, rectangle, ellipse = found.pictures[0].objects
    assert polygon.segmentation == [[2, 1, 6, 1, 6, 4, 2, 4]]
    assert np.array_equal(brush.mask(10, 20), mask)
    assert (rectangle.segmentation, rectangle.box(10, 20)) == (None, (2, 2, 5, 5))
    assert ellipse.mask(10, 20).sum() == pytest.approx(math.pi * 4 * 2, rel=0.15)
    assert found.left_out == {"results of the kind choices": 1, "results of the kind relation": 1}
    assert found.class_names == ("cup", "mug")


def test_label_studio_takes_the_first_annotation_and_counts_the_others(folder):
    square = result("rectanglelabels", ["mug"], {"x": 0, "y": 0, "width": 50, "height": 50})
    first = task("a.jpg", square, was_cancelled=True)
    first["annotations"] += [{"result": [square]}, {"result": [square, square]}]
    nobody = task("b.jpg") | {"annotations": []}
    turned = {**square, "image_rotation": 90}
    nameless = {**square, "value": {**square["value"], "rectanglelabels": []}}
    last = task("b.jpg", turned, nameless)
    found = read("labelstudio", write(folder / "export.json", [first, nobody, last]))
    assert [len(picture.objects) for picture in found.pictures] == [1, 0]
    assert found.left_out == {
        "annotations that were cancelled": 1,
        "annotations of a picture after the first": 1,
        "pictures that nobody has labelled": 1,
        "regions drawn on a picture that was turned in the tool": 1,
        "regions without a label": 1,
    }


def test_a_turned_rectangle_becomes_the_box_around_it(folder):
    # 8 x 4 pixels that stand on (10, 2), turned by a right angle: 4 to the left and 8 down.
    value = {"x": 50, "y": 20, "width": 40, "height": 40, "rotation": 90}
    path = write(folder / "e.json", [task("a.jpg", result("rectanglelabels", ["mug"], value))])
    (mug,) = read("labelstudio", path).pictures[0].objects
    assert mug.box(10, 20) == pytest.approx((6, 2, 4, 8))


def test_label_studio_exports_coco_too(folder):
    document = {
        "images": [{"id": 0, "file_name": "images\\1\\0a1b2c3d-a.jpg", "width": 20, "height": 10}],
        "categories": [{"id": 0, "name": "mug"}],
        "annotations": [
            {"id": 0, "image_id": 0, "category_id": 0, "segmentation": [[2, 1, 6, 1, 6, 4]],
             "bbox": [2, 1, 4, 3], "ignore": 0, "iscrowd": 0, "area": 6}
        ],
    }  # fmt: skip
    write(folder / "result.json", document)
    found = read("labelstudio", folder)
    assert found.pictures[0].path == (folder / "images" / "a.jpg").absolute()
    assert found.pictures[0].objects[0].segmentation == [[2, 1, 6, 1, 6, 4]]


def test_label_studio_faults_have_their_lines(folder):
    brush = {"format": "rle", "rle": [0, 0, 0]}
    tasks = [
        task("a.jpg", result("brushlabels", ["cup"], brush)),
        task("b.jpg", result("polygonlabels", ["cup"], {"points": [[1, 2], [3, 4]]})),
        task("b.jpg", result("polygonlabels", ["cup"], {}, original_width=21)),
        task("gone.jpg"),
        {"data": {"text": "hello"}, "annotations": [{"result": []}]},
    ]
    path = write(folder / "export.json", tasks)
    text = faults("labelstudio", path)
    assert "entry 1, 'annotations', entry 1, 'result', entry 1: its mask ends before" in text
    assert "entry 2, 'annotations', entry 1, 'result', entry 1: a polygon of 2 points" in text
    assert "b.jpg: is 20x10; its labels are for 21x10" in text
    assert "entry 4: gone.jpg: no such picture below" in text
    assert "entry 5: its data name no picture ('hello')" in text
    assert f"{path}:" in text.splitlines()[1]
    assert "not JSON-MIN" in faults("labelstudio", write(path, [{"image": "a.jpg", "label": []}]))


def packed(bits):
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def test_brush_code_is_that_of_the_format():
    # By hand: 8 values (a picture of 2 x 1), words of 8 bits, lengths of 3, 4, 5 and 6 bits;
    # a run of four times 0, then four values one by one, of which the last is the alpha.
    head = f"{8:032b}" + f"{7:05b}" + f"{2:04b}{3:04b}{4:04b}{5:04b}"
    zeros = "1" + "00" + f"{3:03b}" + f"{0:08b}"
    values = "0" + "01" + f"{3:04b}" + f"{1:08b}{2:08b}{3:08b}{255:08b}"
    code = packed(head + zeros + values)
    assert decode_brush(code, 1, 2).tolist() == [[0, 1]]
    for broken, width, fault in (
        (code, 3, "its mask has 8 values; 3x1 with 4 each"),
        (code[:-2], 2, "its mask ends before"),
        (packed(head + zeros + zeros + zeros), 2, None),
        (packed(head + zeros + "1" + "00" + f"{4:03b}" + f"{0:08b}"), 2, "more values than it"),
        ([300], 2, "no list of bytes"),
    ):
        if fault is None:  # what comes after the last value is padding
            assert decode_brush(broken, 1, width).tolist() == [[0, 0]]
            continue
        with pytest.raises(AnnotationError, match=fault):
            decode_brush(broken, 1, width)


def test_long_runs_are_coded_in_parts():
    mask = np.zeros((300, 400), np.uint8)
    mask[100:250, :] = 1
    code = encode_brush(mask)
    assert np.array_equal(decode_brush(code, 300, 400), mask)
    assert len(code) < 200


# labelme


def shape(label, kind, points, **more):
    return {"label": label, "shape_type": kind, "points": points, "group_id": None, **more}


def labelme(name, *shapes):
    return {"version": "5.4", "shapes": list(shapes), "imagePath": name,
            "imageData": None, "imageHeight": 10, "imageWidth": 20}  # fmt: skip


def png(mask):
    return base64.b64encode(cv2.imencode(".png", mask * 255)[1].tobytes()).decode()


def test_labelme_has_polygons_groups_circles_rectangles_and_masks(folder):
    patch = np.array([[1, 0, 1], [1, 1, 0]], np.uint8)
    shapes = [
        shape("mug", "polygon", [[2, 1], [6, 1], [6, 4], [2, 4]]),
        shape("mug", "polygon", [[0, 0], [2, 0], [2, 2], [0, 2]], group_id=1),
        shape("mug", "polygon", [[8, 6], [11, 6], [11, 9], [8, 9]], group_id=1),
        shape("cup", "rectangle", [[9, 8], [3, 2]]),
        shape("cup", "circle", [[10, 5], [13, 9]]),
        shape("mug", "mask", [[4, 3], [6, 4]], mask=png(patch)),
        shape("cup", "linestrip", [[1, 1], [2, 2]]),
    ]
    write(folder / "a.json", labelme("..\\pictures\\a.jpg", *shapes))
    found = read("labelme", folder)
    alone, group, rectangle, circle, mask = found.pictures[0].objects
    assert alone.mask(10, 20).sum() == 12
    assert group.mask(10, 20).sum() == 4 + 9
    assert (rectangle.segmentation, rectangle.box(10, 20)) == (None, (3, 2, 6, 6))
    assert circle.mask(10, 20).sum() == pytest.approx(math.pi * 25, rel=0.05)
    expected = np.zeros((10, 20), np.uint8)
    expected[3:5, 4:7] = patch
    assert np.array_equal(mask.mask(10, 20), expected)
    assert found.left_out == {
        "shapes of the kind linestrip, which have no area": 1,
        "pictures without a file of labelme's": 1,
    }


def test_labelme_faults_of_all_files_are_told(folder):
    write(folder / "a.json", labelme("a.jpg", shape("mug", "mask", [[4, 3], [6, 4]], mask="!")))
    large = png(np.ones((9, 9), np.uint8))
    write(folder / "b.json", labelme("b.jpg", shape("mug", "mask", [[4, 3], [6, 4]], mask=large)))
    write(folder / "c.json", labelme("c.jpg"))
    write(folder / "d.json", labelme("b.jpg", shape("mug", "polygon", [[4, 3], [6, "x"], [1, 1]])))
    write(folder / "e.json", labelme("b.jpg") | {"imageWidth": 10, "imageHeight": 20})
    text = faults("labelme", folder)
    assert f"{folder / 'a.json'}:4: 'shapes', entry 1: its mask is no PNG" in text
    assert "its mask reaches to 13, 12; the picture ends before" in text
    assert "c.jpg: no such picture below" in text
    assert "'points', entry 2, entry 2: is 'x'; input should be a valid number" in text
    assert "b.jpg: is 20x10; its labels are for 10x20" in text


def test_a_picture_that_its_exif_data_turn_is_told(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SIDE).save(folder / "images" / "a.jpg", exif=exif)
    path = write(folder / "a.json", labelme("a.jpg") | {"imageWidth": 10, "imageHeight": 20})
    assert "its EXIF data turn it" in faults("labelme", path)


# YOLO


def yolo(folder, lines, names="[mug, cup]", entry="images"):
    write(folder / "data.yaml", f"path: elsewhere\ntrain: {entry}\nnames: {names}\n")
    return write(folder / "labels" / "a.txt", lines)


def test_yolo_has_shares_of_the_sides(folder):
    yolo(folder, "1 0.1 0.1 0.3 0.1 0.3 0.4 0.1 0.4\n\n0 0.5 0.5 0.2 0.4\n")
    found = read("yolo", folder)
    polygon, placed = found.pictures[0].objects
    assert (polygon.class_name, polygon.segmentation) == ("cup", [[2, 1, 6, 1, 6, 4, 2, 4]])
    assert (placed.class_name, placed.box(10, 20)) == ("mug", (8, 3, 4, 4))
    assert (found.pictures[1].objects, found.class_names) == ((), ("mug", "cup"))


def test_yolo_names_may_be_numbered_and_pictures_listed(folder):
    write(folder / "list.txt", "images/b.jpg\n")
    write(folder / "labels" / "b.txt", "")
    yolo(folder, "", "{1: cup, 0: mug}", "../list.txt")
    found = read("yolo", folder / "data.yaml")
    assert [p.path.name for p in found.pictures] == ["b.jpg"]
    assert found.class_names == ("mug", "cup")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("2 0.5 0.5 0.2 0.4", "class 2; data.yaml lists 0 to 1"),
        ("mug 0.5 0.5 0.2 0.4", "class mug; data.yaml lists 0 to 1"),
        ("0 0.5 0.5 0.2 x", "could not convert string to float: 'x'"),
        ("0 10 12 14 10 12 15", "10.0; shares of the picture's side are needed"),
        ("0 nan 0.5 0.2 0.4", "nan; shares"),
        ("0 0.1 0.1 0.2 0.2 0.3", "5 numbers; four for a box, or pairs for a polygon"),
        ("0 0.1 0.1", "a polygon of 1 points; it takes three"),
        ("0 0.1 0.1 0 0.2", "a box of 0x2; it has to have an area"),
    ],
)
def test_yolo_faults_have_their_lines(folder, line, fault):
    path = yolo(folder, f"0 0.5 0.5 0.2 0.4\n{line}\n")
    assert f"{path}:2: {fault}" in faults("yolo", folder)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("names: [a\ntrain: x", "data.yaml:2: "),
        ("names: {0: a, 2: b}\ntrain: images", "names is {0: 'a', 2: 'b'}; a list"),
        ("names: [a, a]\ntrain: images", "a list of different names"),
        ("names: [a]", "has no pictures; --split NAME"),
        ("names: [a]\ntrain: images\nval: images", "has train, val; --split NAME"),
        ("names: [a]\ntrain: gone", "gone: no such folder or list of pictures"),
        ("hello", "data.yaml:1: no keys"),
    ],
)
def test_a_broken_data_yaml_is_told(folder, text, fault):
    write(folder / "data.yaml", text)
    assert fault in faults("yolo", folder)


def test_yolo_takes_the_split_that_is_named(folder):
    write(folder / "data.yaml", "names: [a]\ntrain: gone\nval: images")
    write(folder / "labels" / "b.txt", "")
    assert len(read("yolo", folder, split="val").pictures) == 2


# Open Images

MASK_HEAD = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks\n"
BOX_HEAD = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n"
)


def open_images(folder):
    """Two masks of one class and picture, one of them at half size; a box more, and a group."""
    (folder / "masks").mkdir()
    mask = np.zeros((10, 20), np.uint8)
    mask[1:4, 2:6] = 255
    cv2.imwrite(str(folder / "masks" / "a_m0abc_1.png"), mask)
    half = np.zeros((5, 10), np.uint8)
    half[3:5, 6:8] = 255
    cv2.imwrite(str(folder / "masks" / "a_m0abc_2.png"), half)
    write(folder / "oidv6-class-descriptions.csv", "LabelName,DisplayName\n/m/0abc,Pumpkin\n")
    write(
        folder / "train-annotations-object-segmentation.csv",
        MASK_HEAD
        + "a_m0abc_1.png,a,/m/0abc,1,0.1,0.3,0.1,0.4,0.9,\n"
        + "a_m0abc_2.png,a,/m/0abc,2,0.6,0.8,0.6,1.0,0.9,\n",
    )
    write(
        folder / "oidv6-train-annotations-bbox.csv",
        BOX_HEAD
        + "a,xclick,/m/0abc,1,0.1005,0.3,0.1,0.3995,0,0,0\n"
        + "a,xclick,/m/0abc,1,0.5,1,0,0.5,0,0,0\n"
        + "b,xclick,/m/0abc,1,0,1,0,1,0,0,1\n",
    )


def test_open_images_joins_masks_and_boxes_by_picture_and_class(folder):
    open_images(folder)
    found = read("openimages", folder)
    assert [p.path.name for p in found.pictures] == ["a.jpg", "b.jpg"]
    first, second, only_box = found.pictures[0].objects
    assert {o.class_name for o in found.pictures[0].objects} == {"Pumpkin"}
    assert first.box(10, 20) == (2, 1, 4, 3)
    # The small mask's rows 3 and 4 and columns 6 and 7, twice as large.
    assert second.box(10, 20) == (12, 6, 4, 4)
    assert (only_box.segmentation, only_box.box(10, 20)) == (None, (10, 0, 10, 5))
    (group,) = found.pictures[1].objects
    assert (group.is_crowd, group.box(10, 20)) == (True, (0, 0, 20, 10))


def test_open_images_faults_have_their_lines(folder):
    open_images(folder)
    path = folder / "train-annotations-object-segmentation.csv"
    write(
        path,
        MASK_HEAD
        + "gone.png,a,/m/0abc,1,0.1,0.3,0.1,0.4,0.9,\n"
        + "a_m0abc_1.png,c,/m/0abc,1,0.1,0.3,0.1,0.4,0.9,\n"
        + "a_m0abc_1.png,a,/m/0xyz,1,0.1,0.3,0.1,0.4,0.9,\n"
        + "a_m0abc_1.png,a,/m/0abc,1,0.1,30,0.1,0.4,0.9,\n",
    )
    text = faults("openimages", folder)
    assert f"{path}:2: gone.png: no such mask" in text
    assert f"{path}:3: c: no picture of that name" in text
    assert f"{path}:4: /m/0xyz: the class descriptions do not list it" in text
    assert f"{path}:5: corners [0.1, 30.0, 0.1, 0.4]; shares of 0 to 1" in text
    write(path, "MaskPath,ImageID\n")
    assert f"{path}:1: no column BoxXMax" in faults("openimages", folder)
    write(path, MASK_HEAD + "a_m0abc_1.png,a\n")
    assert f"{path}:2: the row ends too early" in faults("openimages", folder)
    path.unlink()
    assert "no table SPLIT-annotations-object-segmentation.csv" in faults("openimages", folder)


# Pascal VOC

XML_OBJECT = """<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>
<ymax>{}</ymax></bndbox></object>"""


def voc(folder, *objects):
    """One picture with two objects in its masks: a person of 4 x 3 pixels, and a cat."""
    numbers = np.zeros((10, 20), np.uint8)
    numbers[1:4, 2:6] = 1
    numbers[6:9, 10:12] = 2
    classes = np.where(numbers == 1, 15, np.where(numbers == 2, 8, 0)).astype(np.uint8)
    numbers[0, :] = classes[0, :] = 255
    for name, values in (("SegmentationObject", numbers), ("SegmentationClass", classes)):
        (folder / name).mkdir()
        image = Image.fromarray(values, "P")
        image.putpalette(list(range(256)) * 3)  # PNG needs one for each number
        image.save(folder / name / "a.png")
    (folder / "images").rename(folder / "JPEGImages")
    text = "".join(XML_OBJECT.format(*values) for values in objects)
    write(folder / "Annotations" / "a.xml", f"<annotation>\n{text}</annotation>")
    return folder


def test_voc_has_masks_and_what_has_only_a_box(folder):
    # Corners count from 1 and lie inside: columns 2 to 5 are 3 to 6.
    voc(folder, ("person", 3, 2, 6, 4), ("cat", 10, 6, 13, 10), ("person", 1, 1, 20, 10))
    found = read("voc", folder)
    person, cat, boxed = found.pictures[0].objects
    assert (person.class_name, person.box(10, 20)) == ("person", (2, 1, 4, 3))
    assert (cat.class_name, cat.mask(10, 20).sum()) == ("cat", 6)
    assert (boxed.segmentation, boxed.box(10, 20)) == (None, (0, 0, 20, 10))
    assert found.left_out == {"pictures without masks and without XML, or of another split": 1}
    assert len(found.class_names) == 20


def test_voc_takes_the_split_that_is_named(folder):
    voc(folder)
    write(folder / "ImageSets" / "Segmentation" / "val.txt", "a\n")
    assert len(read("voc", folder, split="val").pictures) == 1
    assert "train.txt: no such file; --split takes" in faults("voc", folder, split="train")


def test_voc_faults_are_told(folder):
    voc(folder, ("cow-like", 3, 2, 6, 4))
    path = folder / "Annotations" / "a.xml"
    assert f"{path}: object 1: its class 'cow-like' is not one of 20" in faults("voc", folder)
    write(path, "<annotation>" + XML_OBJECT.format("cat", 3, 2, "x", 4) + "</annotation>")
    assert f"{path}: object 1: its box is ['3', '2', 'x', '4']" in faults("voc", folder)
    write(path, "<annotation>\n<object>\n</annotation>")
    assert f"{path}:3: mismatched tag" in faults("voc", folder)
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'
    write(path, bomb)
    assert f"{path}: declares entities" in faults("voc", folder)
    write(path, "<annotation>" + XML_OBJECT.format("cat", 3, 2, 6, 4) + "</annotation>")
    assert "a.xml: object 1: is 'cat'; SegmentationClass says 'person'" in faults("voc", folder)
    path.unlink()
    Image.new("RGB", SIDE).save(folder / "SegmentationClass" / "a.png")
    assert "is RGB; a palette is needed" in faults("voc", folder)
    Image.new("L", (3, 3)).save(folder / "SegmentationClass" / "a.png")
    assert "is 3x3; its picture is 20x10" in faults("voc", folder)
    Image.new("L", SIDE, 21).save(folder / "SegmentationClass" / "a.png")
    assert "class 21; there are 20" in faults("voc", folder)
    Image.new("L", SIDE).save(folder / "SegmentationClass" / "a.png")
    assert "object 1 has no class" in faults("voc", folder)
    assert "has neither SegmentationObject nor XML" in faults("voc", folder / "JPEGImages")


def test_voc_counts_masks_that_others_hide(folder, tmp_path):
    square = LabelledObject("a", [[2, 1, 6, 1, 6, 4, 2, 4]])
    larger = LabelledObject("b", [[4, 1, 9, 1, 9, 4, 4, 4]])
    picture = LabelledPicture(folder / "images" / "a.jpg", *SIDE, (square, larger))
    left_out = FORMATS["voc"].write(LabelledSet(("a", "b"), (picture,)), tmp_path / "voc")
    assert left_out == {"masks of which another object hides a part; the rest is kept": 1}
    # 4 x 3 and 5 x 3 pixels, of which 2 x 3 are in both; the smaller one keeps them.
    first, second = read("voc", tmp_path / "voc").pictures[0].objects
    assert (first.class_name, first.mask(10, 20).sum()) == ("b", 9)
    assert (second.class_name, second.mask(10, 20).sum()) == ("a", 12)


def test_the_sample_of_voc_is_read(shared_dir):
    folder = shared_dir / "data" / "formats" / "voc2007_seg_sample" / "VOC2007"
    found = read("voc", folder)
    objects = [o for picture in found.pictures for o in picture.objects]
    # As many as the XML files have, all with masks; reading compares the classes of the two.
    entries = sum(
        path.read_text().count("<object>") for path in (folder / "Annotations").glob("[!.]*.xml")
    )
    assert len(found.pictures) == 44
    assert len(objects) == entries == sum(o.segmentation is not None for o in objects)
