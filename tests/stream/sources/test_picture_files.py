"""Pictures as a video, and what of a folder is data."""

import cv2
import numpy as np
import pytest

from maskstream.errors import ConfigError, SourceError
from maskstream.stream.sources.open import expand_sources, open_source
from tests.helpers.clips import canvas, make_clip


def pictures(folder, numbers, suffix=".jpg"):
    folder.mkdir()
    for number in numbers:
        picture = np.full((48, 64, 3), 20 * number, np.uint8)
        (folder / f"f_{number:04d}{suffix}").write_bytes(
            cv2.imencode(suffix.replace("jfif", "jpg"), picture)[1].tobytes()
        )
    return folder


def read(uri):
    source = open_source(uri, threads=1)
    planes = canvas(source.info.width, source.info.height)
    lumas, times_s = [], []
    for frame in source.frames():
        frame.write_into(planes)
        lumas.append(int(planes.y.mean()))
        times_s.append(float(frame.pts * frame.time_base))
    source.close()
    return source, lumas, times_s


@pytest.mark.parametrize("name", ["s", "s/*.jpg", "s/f_%04d.jpg", "s/f_*"])
@pytest.mark.parametrize(("query", "fps"), [("", 25), ("?fps=10", 10), ("?fps=0.5", 0.5)])
def test_pictures_are_a_video_in_their_order(tmp_path, name, query, fps):
    pictures(tmp_path / "s", [2, 10, 1, 9])
    (uri,) = expand_sources([f"{tmp_path}/{name}{query}"])
    source, lumas, times_s = read(uri)
    assert (source.info.width, source.info.height, source.info.kind) == (64, 48, "file")
    assert lumas == sorted(lumas)
    assert len(lumas) == 4
    assert times_s == pytest.approx([number / fps for number in range(4)])


def test_a_picture_that_cannot_be_decoded_is_counted_and_the_others_go_on(tmp_path):
    folder = pictures(tmp_path / "s", range(1, 6), ".png")
    (folder / "f_0003.png").write_bytes(b"nothing")
    source, lumas, times_s = read(str(folder))
    assert len(lumas) == 4
    assert source.decode_error_count == 1
    assert times_s == pytest.approx([0, 1 / 25, 3 / 25, 4 / 25])
    assert source.warnings[-1].endswith("f_0003.png.")


@pytest.mark.parametrize("rate", ["0", "x", "-1", "5000"])
def test_an_impossible_rate_is_refused(tmp_path, rate):
    folder = pictures(tmp_path / "s", [1])
    with pytest.raises(ConfigError, match="is impossible"):
        expand_sources([f"{folder}?fps={rate}"])


def test_videos_of_a_folder_come_before_its_pictures(tmp_path):
    folder = pictures(tmp_path / "s", [1])
    clip = make_clip(folder / "a.mp4")
    assert expand_sources([str(folder)]) == [str(clip)]


@pytest.mark.parametrize("hidden", ["._a.mp4", ".trashed-1-a.mp4", "@eaDir", "~$a.mp4"])
def test_hidden_files_are_not_data(tmp_path, hidden):
    clip = make_clip(tmp_path / "a.mp4")
    (tmp_path / hidden).write_bytes(b"no video")
    assert expand_sources([str(tmp_path)]) == [str(clip)]


def test_a_folder_of_hidden_files_alone_holds_no_video(tmp_path):
    (tmp_path / "._a.mp4").write_bytes(b"no video")
    with pytest.raises(SourceError, match="no file"):
        expand_sources([str(tmp_path)])
