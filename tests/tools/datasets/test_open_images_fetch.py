"""Fetching classes of Open Images, from a server of our own that is laid out like theirs."""

import io
import zipfile

import cv2
import numpy as np
import pytest

from maskstream.errors import ConfigError
from maskstream.tools.arguments import download
from maskstream.tools.arguments.download import DownloadError
from maskstream.tools.datasets.open_images_fetch import (
    PICTURE_HOST,
    TABLE_HOST,
    Wanted,
    fetch_open_images,
)
from maskstream.train.formats import FORMATS, ReadOptions
from tests.helpers.range_server import serve

HEAD = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks\n"
BOX_HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n"
IDS = ("0a", "0b", "1c")
TABLE = "openimages/v5/train-annotations-object-segmentation.csv"


def mask_name(image_id, label="m0pum"):
    return f"{image_id}_{label}_1.png"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Three pictures of pumpkins and one of a cat."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    host = tmp_path / "host"
    for folder in ("v6", "v5/train-masks"):
        (host / "openimages" / folder).mkdir(parents=True)
    pictures = host / "open-images-dataset" / "train"
    pictures.mkdir(parents=True)
    mask = np.zeros((10, 20), np.uint8)
    mask[1:4, 2:6] = 255
    png = cv2.imencode(".png", mask)[1].tobytes()
    for image_id in (*IDS, "0d"):
        cv2.imwrite(str(pictures / f"{image_id}.jpg"), np.zeros((10, 20, 3), np.uint8))
    for digit in "01":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as opened:
            for image_id in (*IDS, "0d"):
                if image_id[0] == digit:
                    label = "m0cat" if image_id == "0d" else "m0pum"
                    opened.writestr(mask_name(image_id, label), png)
        path = host / "openimages" / "v5" / "train-masks" / f"train-masks-{digit}.zip"
        path.write_bytes(archive.getvalue())
    rows = [f"{mask_name(i)},{i},/m/0pum,1,0.1,0.3,0.1,0.4,0.9,\n" for i in IDS]
    rows.append(f"{mask_name('0d', 'm0cat')},0d,/m/0cat,1,0.1,0.3,0.1,0.4,0.9,\n")
    (host / TABLE).write_text(HEAD + "".join(rows))
    (host / "openimages/v6/oidv6-class-descriptions.csv").write_text(
        "LabelName,DisplayName\n/m/0cat,Cat\n/m/0pum,Pumpkin\n"
    )
    (host / "openimages/v6/oidv6-train-annotations-bbox.csv").write_text(
        BOX_HEAD + "0a,x,/m/0pum,1,0.5,1,0.5,1,0\n0d,x,/m/0cat,1,0,1,0,1,0\n"
    )
    with serve(host) as behaviour:
        yield behaviour


def fetch(server, folder, **wanted):
    lines: list[str] = []
    names = wanted.pop("class_names", ("pumpkin",))
    fetch_open_images(Wanted(class_names=names, **wanted), folder, server.url, lines.append)
    return lines


def test_the_addresses_are_those_of_open_images():
    assert TABLE_HOST == "https://storage.googleapis.com"
    assert PICTURE_HOST == "https://s3.amazonaws.com"


def test_one_class_is_fetched_and_converts(server, tmp_path):
    folder = tmp_path / "pumpkins"
    fetch(server, folder, has_boxes=True)
    assert sorted(p.stem for p in (folder / "images").iterdir()) == list(IDS)
    assert sorted(p.name for p in (folder / "masks").iterdir()) == [mask_name(i) for i in IDS]
    assert list((tmp_path / "cache").rglob("*.zip")) == []
    found = FORMATS["openimages"].read(folder, ReadOptions())
    assert found.class_names == ("Pumpkin",)
    masked = [o for p in found.pictures for o in p.objects if o.segmentation is not None]
    assert [o.box(10, 20) for o in masked] == [(2, 1, 4, 3)] * 3
    (boxed,) = (o for p in found.pictures for o in p.objects if o.segmentation is None)
    assert boxed.box(10, 20) == (10, 5, 10, 5)


def test_a_broken_table_goes_on_and_a_second_call_asks_for_nothing(server, tmp_path):
    server.cut_after_bytes = [10**6, 100]  # the class names come whole, the table in two parts
    fetch(server, tmp_path / "out")
    assert "bytes=100-" in server.ranges
    asked = len(server.ranges)
    fetch(server, tmp_path / "out")
    assert len(server.ranges) == asked


def test_a_few_pictures_need_few_archives(server, tmp_path):
    lines = fetch(server, tmp_path / "out", max_images=2)
    assert "2 pictures of pumpkin" in lines
    assert not any("train-masks-1.zip" in line for line in lines)
    found = FORMATS["openimages"].read(tmp_path / "out", ReadOptions())
    assert [p.path.stem for p in found.pictures] == ["0a", "0b"]


def test_a_picture_that_is_gone_is_counted(server, tmp_path):
    (server.folder / "open-images-dataset" / "train" / "0b.jpg").unlink()
    lines = fetch(server, tmp_path / "out")
    assert "left out: 1 pictures that the server does not have any more" in lines
    found = FORMATS["openimages"].read(tmp_path / "out", ReadOptions())
    assert [p.path.stem for p in found.pictures] == ["0a", "1c"]


def test_wrong_names_are_told(server, tmp_path):
    with pytest.raises(ConfigError, match="Open Images has no class 'Pumpkn'"):
        fetch(server, tmp_path / "out", class_names=("Pumpkn",))
    with pytest.raises(ConfigError, match="'val'; use one of train, validation, test"):
        fetch(server, tmp_path / "out", split="val")
    with pytest.raises(DownloadError, match="answered 404"):
        fetch(server, tmp_path / "out", split="test")


def test_a_broken_archive_is_not_kept(server, tmp_path):
    path = server.folder / "openimages/v5/train-masks/train-masks-1.zip"
    good = path.read_bytes()
    path.write_bytes(b"no archive")
    with pytest.raises(DownloadError, match="was no archive"):
        fetch(server, tmp_path / "out")
    path.write_bytes(good)
    fetch(server, tmp_path / "out")
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 3
