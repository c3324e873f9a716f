"""What the page to try engines does, without the page."""

import os
import socket
import struct
import threading
import time
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from maskstream.engines import open_engine
from maskstream.errors import ConfigError, SourceError
from maskstream.tools.images.masking import Picture, detect_pictures
from maskstream.tools.web_demo.command import web_demo
from maskstream.tools.web_demo.work import (
    KEPT_S,
    SIDE_MAX_PX,
    Choice,
    Engines,
    _class_rows,
    _clip_document,
    coco_document,
    look_at,
    new_folder,
    read_picture,
)


@pytest.fixture(scope="module")
def engines():
    opened = Engines()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def street(clips_dir):
    """A frame of pedestrians, (576, 768, 3) BGR."""
    capture = cv2.VideoCapture(str(clips_dir / "vtest.avi"))
    is_read, bgr = capture.read()
    capture.release()
    assert is_read
    return np.asarray(bgr, np.uint8)


def test_a_picture_gets_masks_a_table_and_a_document(engines, street):
    seen = look_at(street, "street.png", engines, Choice("person", 0.3))
    assert seen.drawn.shape == street.shape
    assert (seen.drawn != street[..., ::-1]).any()
    assert seen.document["images"] == [
        {"id": 1, "file_name": "street.png", "width": 768, "height": 576}
    ]
    assert seen.document["categories"] == [{"id": 1, "name": "person"}]
    assert len(seen.document["annotations"]) == len(seen.rows) > 2
    with open_engine("person") as engine:
        ((_, instances),) = detect_pictures(
            engine, [Picture(Path("street.png"), street)], score_min=0.3, top_k=100
        )
    for index, entry in enumerate(seen.document["annotations"]):
        mask = coco_mask.decode(entry["segmentation"])
        assert mask.shape == (576, 768)
        assert mask.sum() == instances.mask(index).sum() == seen.rows[index][-1]
        assert entry["score"] == seen.rows[index][1]
        assert entry["score"] >= 0.3


def test_a_higher_threshold_and_other_classes_show_less(engines, street):
    most = look_at(street, "a", engines, Choice("person", 0.1)).rows
    some = look_at(street, "a", engines, Choice("person", 0.6)).rows
    assert len(most) > len(some)
    assert all(float(row[1]) >= 0.6 for row in some)


def test_users_at_the_same_time_each_get_their_own(engines, street):
    pictures = [street, street[:, ::-1].copy(), np.zeros_like(street)]
    found: dict[int, int] = {}

    def ask(number: int) -> None:
        seen = look_at(pictures[number % 3], "a", engines, Choice("person", 0.3))
        found[number] = len(seen.rows)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert [found[n] for n in range(3)] == [found[n] for n in range(3, 6)]
    assert found[0] > 2 > found[2] == 0


def test_a_bad_picture_is_refused_by_its_owners_name(tmp_path):
    text = tmp_path / "upload"
    text.write_text("no picture")
    with pytest.raises(SourceError, match=r"^mine\.png: cannot be read as a picture"):
        read_picture(text, "mine.png")
    good = tmp_path / "good.png"
    Image.new("RGB", (40, 30)).save(good)
    assert read_picture(good, "a").shape == (30, 40, 3)
    claims = tmp_path / "claims.png"  # 60,000 pixels a side, which neither library decodes
    header = struct.pack(">4sIIBBBBB", b"IHDR", 60_000, 60_000, 8, 2, 0, 0, 0)
    checked = struct.pack(">I", 13) + header + struct.pack(">I", crc32(header))
    claims.write_bytes(b"\x89PNG\r\n\x1a\n" + checked)
    with pytest.raises(SourceError, match=r"^claims\.png: (cannot be read|is 60000x60000)"):
        read_picture(claims, "claims.png")
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:40])
    with pytest.raises(SourceError, match="cannot be read"):
        read_picture(cut, "a")


def test_a_small_file_of_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "huge.png"
    Image.new("1", (SIDE_MAX_PX + 1, 9000)).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(SourceError, match=f"at most {SIDE_MAX_PX} a side"):
        read_picture(path, "huge.png")


def test_a_clip_has_a_row_a_class_and_an_image_a_frame():
    def entry(class_id, name, score):
        return {"class_id": class_id, "class": name, "score": score, "box": [1, 2, 3, 4],
                "segmentation": {"size": [6, 8], "counts": "<"}}  # fmt: skip

    frames = [
        {"seq": 0, "instances": [entry(2, "dog", 0.5), entry(2, "dog", 0.75)]},
        {"seq": 1, "instances": []},
        {"seq": 2, "instances": [entry(0, "cat", 0.25), entry(2, "dog", 0.5)]},
    ]
    assert _class_rows(frames) == [["dog", 2, 3, 0.75], ["cat", 1, 1, 0.25]]
    document = _clip_document(frames, "street.avi", 8, 6)
    assert [image["file_name"] for image in document["images"]] == [
        "street.avi#0", "street.avi#1", "street.avi#2"
    ]  # fmt: skip
    assert [a["image_id"] for a in document["annotations"]] == [1, 1, 3, 3]
    assert document["categories"] == [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]
    assert [a["category_id"] for a in document["annotations"]] == [3, 3, 1, 3]


def test_a_document_of_nothing_is_one():
    assert coco_document([("a.jpg", 4, 3, [])], ["x"]) == {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 4, "height": 3}],
        "annotations": [],
        "categories": [{"id": 1, "name": "x"}],
    }


def test_other_machines_are_let_in_only_on_purpose():
    with pytest.raises(ConfigError, match=r"add --public if that is meant"):
        web_demo(engine=["person"], listen="0.0.0.0:7860")


def test_a_taken_port_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"use another address"):
            web_demo(engine=["person"], listen=address)


def test_results_are_deleted_when_their_time_is_over(tmp_path):
    old, new = new_folder(tmp_path), new_folder(tmp_path)
    (old / "masked.mp4").write_text("a clip")
    long_ago_s = time.time() - KEPT_S - 1
    os.utime(old, (long_ago_s, long_ago_s))
    kept = new_folder(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([new, kept])
