"""Torn ends of files whose writer was killed."""

import av
import pytest

from maskstream.stream.recording.playable import cut_torn_end, cut_torn_line, is_playable
from tests.helpers.clips import frame_times, make_clip

OPTIONS = {"qp": "0", "g": "10", "sc_threshold": "0"}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


def fragmented(path):
    """30 frames in 3 fragments, and the places where whole fragments end."""
    make_clip(path, pts=range(30), options=OPTIONS, container_options=FRAGMENTS)
    data, ends, start = path.read_bytes(), [], 0
    while start < len(data):
        kind = data[start + 4 : start + 8]
        start += int.from_bytes(data[start : start + 4])
        if kind == b"mdat":
            ends.append(start)
    return data, ends


@pytest.mark.parametrize("extra", [1, 7, 8, 40, 500])
def test_an_mp4_is_cut_after_its_last_whole_fragment(tmp_path, extra):
    path = tmp_path / "torn.mp4"
    data, ends = fragmented(path)
    assert len(ends) == 3
    path.write_bytes(data[: ends[1] + extra])
    cut_torn_end(path)
    assert path.read_bytes() == data[: ends[1]]
    assert len(frame_times(path)) == 20  # and no error at the end


@pytest.mark.parametrize("kind", ["whole", "fragmented"])
def test_a_whole_file_is_left_as_it_is(tmp_path, kind):
    path = make_clip(
        tmp_path / "whole.mp4", container_options=FRAGMENTS if kind == "fragmented" else {}
    )
    before = path.read_bytes()
    cut_torn_end(path)
    assert path.read_bytes() == before


def test_other_containers_are_left_as_they_are(tmp_path):
    path = make_clip(tmp_path / "torn.mkv", pts=range(30))
    torn = path.read_bytes()[:-100]
    path.write_bytes(torn)
    cut_torn_end(path)
    assert path.read_bytes() == torn
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) >= 20


@pytest.mark.parametrize("data", [b"", b"\0", b"\0" * 100, b"\0\0\0\1mdat", b"\xff" * 64])
def test_garbage_is_neither_playable_nor_an_error(tmp_path, data):
    path = tmp_path / "torn.mp4"
    path.write_bytes(data)
    cut_torn_end(path)
    assert not is_playable(path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b'{"a"', b""),
        (b"one\n", b"one\n"),
        (b"one\ntwo", b"one\n"),
        (b"one\n" + b"x" * 200_000, b"one\n"),
        (b"x" * 200_000, b""),
        (b"x" * 70_000 + b"\n" + b"y" * 9 + b"\n", b"x" * 70_000 + b"\n" + b"y" * 9 + b"\n"),
    ],
    ids=["empty", "torn", "whole", "second_torn", "long_torn", "only_torn", "long_whole"],
)  # fmt: skip
def test_a_torn_last_line_is_cut_off(tmp_path, before, after):
    path = tmp_path / "lines"
    path.write_bytes(before)
    cut_torn_line(path)
    assert path.read_bytes() == after
