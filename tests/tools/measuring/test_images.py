"""What each stage of `maskstream images` takes: all pictures, all stages, the warm-up left out."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from maskstream.engines import open_engine
from maskstream.errors import SourceError
from maskstream.tools.measuring.images import STAGES, images_table, measure_images
from tests.helpers.engines.tiny import tiny_engine_file


@pytest.fixture(scope="module")
def engine_file():
    return tiny_engine_file()


@pytest.fixture
def pictures(tmp_path):
    """Five pictures of 60 x 50 px, more than one batch, and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(5):
        cv2.imwrite(str(folder / f"{number}.png"), random.integers(0, 255, (50, 60, 3), np.uint8))
    (folder / "5.png").write_text("no picture")
    return folder


def test_every_stage_of_every_picture_is_counted_once_a_round(engine_file, pictures):
    bad: list[Path] = []
    with open_engine(str(engine_file)) as engine:
        figures = measure_images(engine, sorted(pictures.iterdir()), rounds=2, on_bad=bad.append)
    assert [path.name for path in bad] == ["5.png"]
    assert figures.picture_count == 5
    assert figures.megapixels == pytest.approx(0.003)
    assert tuple(figures.stage_ms) == STAGES
    for taken in figures.stage_ms.values():
        assert 0 < taken.p25 <= taken.p50 <= taken.p75
    assert figures.total_ms == pytest.approx(sum(t.p50 for t in figures.stage_ms.values()))
    assert images_table(figures).row_count == len(STAGES) + 1


def test_a_folder_without_a_readable_picture_is_refused(engine_file, tmp_path):
    path = tmp_path / "a.png"
    path.write_text("no picture")
    with (
        open_engine(str(engine_file)) as engine,
        pytest.raises(SourceError, match="none of its 1 pictures can be read"),
    ):
        measure_images(engine, [path], rounds=1, on_bad=lambda _: None)


def test_the_command_measures_a_folder_and_writes_its_figures(
    maskstream, engine_file, pictures, tmp_path
):
    output = tmp_path / "figures.json"
    done = maskstream(
        "bench", "--images", pictures, "--engine", engine_file, "--rounds", "1", "-o", output
    )
    assert done.returncode == 0, done.stderr
    assert "5 pictures of 0.00 megapixels" in done.stdout
    assert "5.png: cannot be read as a picture." in done.stdout
    figures = json.loads(output.read_text())["images"]
    assert list(figures["stage_ms"]) == list(STAGES)


def test_the_part_needs_pictures(maskstream):
    done = maskstream("bench", "--only", "images")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--only images: no pictures are named; add --images FOLDER." in done.stderr
