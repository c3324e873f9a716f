"""What a run will be, worked out before anything starts."""

from __future__ import annotations

import pytest

from maskstream.errors import ConfigError
from maskstream.stream.supervision.plan import make_plan
from tests.helpers.line import options


def plan(*sources: str, **others):
    return make_plan(options(*(sources or ("fake:frames=20",)), **others))


def test_one_source_goes_into_the_file_that_is_named(tmp_path):
    out = str(tmp_path / "out.mkv")
    assert plan(output=out).deliveries[0].videos == (out,)


def test_a_folder_gets_a_file_named_after_the_source(tmp_path):
    made = plan("fake:frames=5", output=str(tmp_path), results=tmp_path)
    assert made.deliveries[0].videos == (str(tmp_path / "fake-frames-5.mp4"),)
    assert made.deliveries[0].results == (str(tmp_path / "fake-frames-5.ndjson"),)


def test_sources_of_one_name_get_files_apart(tmp_path):
    made = plan("fake:frames=5", "fake:frames=5", "fake:frames=6", output=str(tmp_path))
    names = ["fake-frames-5-0.mp4", "fake-frames-5-1.mp4", "fake-frames-6.mp4"]
    assert [own.videos for own in made.deliveries] == [(str(tmp_path / n),) for n in names]


def test_nothing_is_written_unless_asked_for():
    made = plan()
    assert made.deliveries[0].files == ()


@pytest.mark.parametrize(
    ("asked", "slots"),
    [({}, 19), ({"batch": 1}, 5), ({"batch": 8}, 19), ({"slots": 7, "batch": 2}, 7)],
)
def test_slots_hold_one_batch_at_work_and_one_that_fills(asked, slots):
    assert plan(**asked).slot_count == slots


def test_a_live_source_has_few_slots_so_that_frames_stay_fresh():
    assert plan("fake:live=1").slot_count == 5


@pytest.mark.parametrize(
    ("limit", "total"), [(None, 50), (25, 45), (10, 20)], ids=["none", "one", "both"]
)
def test_expected_frames_are_those_of_all_sources_up_to_the_limit(limit, total):
    assert plan("fake:frames=20", "fake:frames=30", max_frames=limit).frame_total() == total


def test_a_batch_never_takes_every_slot():
    made = plan(slots=4)
    assert made.settings("infer", (0,)).batch_limit == 3


def test_policy_follows_the_kind_of_source_unless_told():
    for source, told, policy in (
        ("fake:frames=1", None, "block"),
        ("fake:live=1", None, "latest"),
        ("fake:live=1", "block", "block"),
    ):
        assert plan(source, policy=told).settings("capture", (0,)).policy == policy


def test_an_engine_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no-such\.onnx"):
        plan(engine=str(tmp_path / "no-such.onnx"), real=("engine",))


def test_a_run_without_sources_is_refused():
    with pytest.raises(ConfigError, match="sources: none"):
        make_plan(options())
