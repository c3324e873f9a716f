"""`maskstream images`: pictures go in, and come out with their objects drawn."""

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from zlib import compress, crc32

import cv2
import numpy as np
import pytest

from maskstream.engines.interface.instances import Instances
from maskstream.errors import ConfigError, OutputError, SourceError
from maskstream.stream.pixels.painter import DrawStyle
from maskstream.tools.arguments.pictures import read_picture
from maskstream.tools.images import command
from maskstream.tools.images.masking import draw_on
from maskstream.tools.images.work import _lines
from tests.helpers.engines.tiny import CLASS_NAMES, tiny_engine_file
from tests.helpers.x_screen import x_screen


@pytest.fixture(scope="module")
def engine():
    return str(tiny_engine_file())


def images(source, output, engine, **options):
    command.images(source, output=output, engine=engine, **options)


def _picture(path, width=70, height=51, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    assert cv2.imwrite(str(path), noise)
    return noise


def test_a_picture_of_odd_size_is_masked_and_its_path_printed(engine, tmp_path, capsys):
    picture = _picture(tmp_path / "in.png")
    images(tmp_path / "in.png", tmp_path / "out.png", engine, score=0.0)
    drawn = cv2.imread(str(tmp_path / "out.png"))
    assert drawn is not None
    assert drawn.shape == picture.shape
    assert (drawn != picture).any()
    path, count = capsys.readouterr().out.splitlines()
    assert path == str(tmp_path / "out.png")
    assert re.fullmatch(r"1 of 1 pictures done, \d+ instances seen", count)


def test_only_what_is_drawn_on_changes():
    picture = np.random.default_rng(0).integers(0, 256, (61, 83, 3)).astype(np.uint8)
    instances = Instances(
        boxes_xyxy_src=np.array([[20, 30, 60, 50]], np.float32),
        scores=np.array([0.9], np.float32),
        class_ids=np.array([0], np.int32),
        extents_xyxy_src=np.array([[20, 30, 60, 50]], np.int32),
        patches=(np.full((5, 5), 255, np.uint8),),
    )
    before = picture.copy()
    drawn = draw_on(picture, instances, DrawStyle(("circle",), boxes=False, labels=False))
    is_changed = (drawn != picture).any(axis=2)
    assert is_changed[31:49, 21:59].mean() > 0.99
    is_changed[29:51, 19:61] = False  # colour is scaled up into the pixel beside
    assert not is_changed.any()
    np.testing.assert_array_equal(picture, before)
    nothing = draw_on(picture, Instances.empty(), DrawStyle(("circle",)))
    np.testing.assert_array_equal(nothing, picture)


def test_of_a_folder_bad_files_are_named_and_the_rest_is_done(engine, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for number in range(6):
        _picture(tmp_path / f"in/{number}.png", width=64 + number, seed=number)
    (tmp_path / "in/bad.jpg").write_text("no picture")
    (tmp_path / "in/notes.txt").write_text("not meant")
    with pytest.raises(SourceError, match="1 of 7 could not be read"):
        images(tmp_path / "in", tmp_path / "out", engine, results=tmp_path / "r.ndjson", score=0.0)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{n}.png" for n in range(6)]
    assert f"maskstream: {tmp_path / 'in/bad.jpg'}: cannot be read" in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "r.ndjson").read_text().splitlines()]
    assert [line["image"] for line in lines] == [str(tmp_path / f"in/{n}.png") for n in range(6)]
    assert [line["width"] for line in lines] == [64 + n for n in range(6)]
    seen = lines[0]["instances"][0]
    assert seen["class"] in CLASS_NAMES
    assert seen["segmentation"]["size"] == [51, 64]


def test_classes_and_count_are_limited(engine, tmp_path):
    _picture(tmp_path / "in.png")
    images(
        tmp_path / "in.png", None, engine, results=tmp_path / "r.ndjson", score=0.0, top_k=3,
        classes="square",
    )  # fmt: skip
    (line,) = (tmp_path / "r.ndjson").read_text().splitlines()
    names = [instance["class"] for instance in json.loads(line)["instances"]]
    assert 0 < len(names) <= 3
    assert set(names) == {"square"}


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        pytest.param(("absent.png", "o.png"), SourceError, "no such file", id="no-source"),
        pytest.param(("empty", "o"), SourceError, "no pictures in it", id="empty-folder"),
        pytest.param(("in.png", "in.png"), OutputError, "is the source itself", id="itself"),
        pytest.param(("full", "full"), OutputError, "is the source itself", id="own-folder"),
        pytest.param(("in.png", "o.txt"), OutputError, "ends in '.txt'", id="suffix"),
        pytest.param(("full", "in.png"), OutputError, "is a file", id="file-for-a-folder"),
        pytest.param(("full", "o.png"), OutputError, "name of a picture", id="name-of-a-picture"),
        pytest.param(("in.png", None), ConfigError, "nothing is to be done", id="nothing"),
    ],
)
def test_what_cannot_be_done_is_refused(engine, tmp_path, monkeypatch, arguments, error, text):
    monkeypatch.chdir(tmp_path)
    _picture(tmp_path / "in.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    _picture(tmp_path / "full/a.png")
    source, output = arguments
    with pytest.raises(error, match=text):
        images(tmp_path / source, output and tmp_path / output, engine)


def test_a_full_disk_is_told_and_leaves_no_results_of_that_name(tmp_path, monkeypatch):
    monkeypatch.setattr("maskstream.tools.images.work.partial_path", lambda _: Path("/dev/full"))
    with (
        pytest.raises(OutputError, match=r"r\.ndjson: cannot be written \(No space left"),
        _lines(tmp_path / "r.ndjson") as lines,
    ):
        lines.write("{}\n")
    assert not (tmp_path / "r.ndjson").exists()


def test_a_picture_that_claims_more_pixels_than_fit_is_no_picture(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", compress(b"0")) + chunk(b"IEND", b"")
    (tmp_path / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    assert read_picture(tmp_path / "large.png") is None


def test_displaying_without_a_display_is_refused(engine, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    _picture(tmp_path / "in.png")
    with pytest.raises(ConfigError, match="display"):
        images(tmp_path / "in.png", None, engine, display=True)


def test_pictures_are_shown_one_after_another_until_q(engine, tmp_path, repository_dir):
    for name in ("a", "b", "c"):
        _picture(tmp_path / f"{name}.png", width=320, height=240)
    code = (
        "import sys; from pathlib import Path; from maskstream.tools.images.command import images\n"
        f"images(Path({str(tmp_path)!r}), engine={engine!r}, display=True, score=0.0)"
    )
    with x_screen() as screen:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=repository_dir,
            env={**os.environ, "DISPLAY": screen.name},
        )
        try:
            first = screen.window(f"{tmp_path / 'a.png'} - maskstream")
            screen.press(first, "space")
            second = screen.window(f"{tmp_path / 'b.png'} - maskstream")
            screen.press(second, "q")
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            process.wait()


def read_any(path, **options):
    picture = read_picture(path, **options)
    assert picture is not None
    return picture


@pytest.mark.parametrize("kind", ["AVIF", "JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_a_photo_is_read_upright(tmp_path, kind, orientation):
    """Beside Pillow, which turns by the same tag."""
    from PIL import Image, ImageOps

    picture = np.zeros((40, 64, 3), np.uint8)
    picture[:20, :32], picture[20:, :32], picture[:20, 32:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x112] = orientation
    path = tmp_path / "photo"
    Image.fromarray(picture).save(path, kind, exif=exif)
    with Image.open(path) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"), np.int16)
    read = read_any(path)[..., ::-1]
    assert read.shape == upright.shape
    assert np.abs(read - upright).mean() < 8


def test_of_a_folder_pictures_are_told_by_what_they_hold(engine, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    picture = _picture(tmp_path / "in/a.png")
    for name, kind in (("b.jfif", ".jpg"), ("c.HEIC", ".avif"), ("d", ".webp"), ("e.gif", ".gif")):
        data = cv2.imencode(kind, picture)[1]
        (tmp_path / "in" / name).write_bytes(data.tobytes())
    (tmp_path / "in/notes.txt").write_text("no picture")
    (tmp_path / "in/.hidden.png").write_bytes(b"no picture either")
    images(tmp_path / "in", tmp_path / "out", engine, score=0.0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.png", "b.jfif.jpg", "c.HEIC.jpg", "d.jpg", "e.gif.jpg",
    ]  # fmt: skip
    told = capsys.readouterr()
    assert "5 of 5 pictures done" in told.out
    assert told.err == f"maskstream: {tmp_path}/in: no pictures, so ignored: notes.txt.\n"


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_picture_of_few_bits_in_sixteen_is_scaled_by_what_is_in_it(tmp_path, bits):
    grey = np.random.default_rng(0).integers(0, 256, (40, 60)).astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "deep.png"), grey.astype(np.uint16) << (bits - 8))
    told: list[str] = []
    read = read_any(tmp_path / "deep.png", note=told.append)
    assert np.abs(read[..., 0].astype(int) - grey).max() <= 2
    assert "scaled to 8 bits" in told[0]


def test_a_picture_of_full_range_in_sixteen_bits_keeps_its_values(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (40, 60)).astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "deep.png"), grey.astype(np.uint16) * 257)
    told: list[str] = []
    assert (read_any(tmp_path / "deep.png", note=told.append)[..., 0] == grey).all()
    assert told == []


def test_thermal_values_far_above_zero_are_stretched(tmp_path):
    kelvin = np.linspace(29_000, 31_000, 2400).reshape(40, 60).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "thermal.tif"), kelvin)
    read = read_any(tmp_path / "thermal.tif")[..., 0]
    assert (read[0, 0], read[-1, -1]) == (0, 255)


def test_names_that_are_no_utf_8_are_read_written_and_shown(engine, tmp_path):
    (tmp_path / "in").mkdir()
    _picture(tmp_path / "plain.png")
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / "plain.png").rename(tmp_path / "in" / name)
    done = subprocess.run(
        [sys.executable, "-m", "maskstream", "images", "in", "-o", "out", "--results", "r.ndjson",
         "--engine", engine, "--score", "0"],
        capture_output=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    assert done.stdout.startswith(b"out/caf\xe9.png\n")
    assert json.loads((tmp_path / "r.ndjson").read_text())["image"] == "in/caf\\xe9.png"
