"""What the user types as SOURCE."""

import pytest

from maskstream.errors import ConfigError, SourceError
from maskstream.stream.sources.open import expand_sources, open_source
from maskstream.stream.sources.synthetic import SyntheticSource
from maskstream.stream.sources.video_file import VideoFile
from tests.helpers.clips import make_clip


@pytest.fixture
def folder(tmp_path):
    for name in ("clip10.mp4", "clip2.MP4", "Clip1.mkv", "notes.txt", "cover.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "clip3.mp4").touch()
    return tmp_path


def test_files_and_synthetic_sources_stay_as_they_are(tmp_path):
    given = [str(tmp_path / "missing.mp4"), "synthetic:numbered?frames=3", "rtsp://host/a", "0"]
    assert expand_sources(given) == given


def test_a_folder_becomes_its_videos_in_natural_order(folder):
    left_out: list[str] = []
    names = expand_sources([str(folder)], left_out=left_out)
    assert names == [str(folder / name) for name in ("Clip1.mkv", "clip2.MP4", "clip10.mp4")]
    assert left_out == [
        f"{folder}: left out 2 files that are no videos: cover.jpg, notes.txt.",
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.mp4", ["clip10.mp4"]),
        ("clip*", ["clip2.MP4", "clip10.mp4"]),
        ("**/*.mp4", ["clip10.mp4", "deeper/clip3.mp4"]),
        ("clip[0-9].MP4", ["clip2.MP4"]),
    ],
)
def test_a_pattern_becomes_the_videos_that_it_matches(folder, pattern, expected):
    found = expand_sources([f"{folder}/{pattern}"])
    assert found == [str(folder / name) for name in expected]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    (tmp_path / "take[1].mp4").touch()
    assert expand_sources([str(tmp_path / "take[1].mp4")]) == [str(tmp_path / "take[1].mp4")]


def test_a_folder_without_video_is_refused(tmp_path):
    for number in range(7):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(SourceError) as caught:
        expand_sources([str(tmp_path)])
    assert str(caught.value) == (
        f"{tmp_path}: a folder with no video but 7 other files "
        "(0.txt, 1.txt, 2.txt, 3.txt, 4.txt, ...); give one with files such as "
        ".mp4, .mkv, .mov, .avi or .webm."
    )


def test_an_empty_folder_and_a_pattern_without_a_match_are_refused(tmp_path):
    with pytest.raises(SourceError, match="a folder with no video but no file; give one"):
        expand_sources([str(tmp_path)])
    with pytest.raises(SourceError, match="a pattern with no video but no file; give one"):
        expand_sources([f"{tmp_path}/*.mp4"])


def test_no_source_at_all_is_refused():
    with pytest.raises(SourceError, match="none was given"):
        expand_sources([])


@pytest.mark.parametrize(
    "uri",
    ["rtsp://host/a", "http://host/v.mp4", "0", "/dev/video0?size=640x480", "/dev/v4l/by-id/x"],
)
def test_a_live_source_is_one_source(uri):
    assert expand_sources([uri]) == [uri]


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("sctp://host/a", r"sctp://host/a: no stream of kind 'sctp' can be read; use one of http"),
        (
            "rtsp://u:secret@${NO_HOST}/",
            r"rtsp://u:\*\*\*@.*: the environment variable NO_HOST is not",
        ),
        ("0?sise=1x1", r"0\?sise=1x1: the option 'sise=1x1' is not understood; use size="),
        ("0?format=png", "the option 'format=png' is not understood; .* format= one of mjpeg"),
    ],
)
def test_a_live_source_that_never_can_be_read_is_refused_at_once(uri, text):
    with pytest.raises(ConfigError, match=text):
        expand_sources([uri])


def test_a_camera_that_is_not_there_is_refused_in_words():
    with pytest.raises(SourceError, match=r"^/dev/video987: no such camera; maskstream devices"):
        open_source("/dev/video987", threads=1)


def test_a_file_and_a_synthetic_source_are_opened_as_what_they_are(tmp_path):
    source = open_source(str(make_clip(tmp_path / "c.mp4")), threads=1)
    assert isinstance(source, VideoFile)
    source.close()
    assert isinstance(open_source("synthetic:numbered?frames=2", threads=1), SyntheticSource)


def test_a_missing_file_is_refused_with_exit_code_3(tmp_path):
    with pytest.raises(SourceError, match=r"missing.mp4: no such file; give") as caught:
        open_source(str(tmp_path / "missing.mp4"), threads=1)
    assert caught.value.exit_code == 3
    assert isinstance(caught.value, OSError)
