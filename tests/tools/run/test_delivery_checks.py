"""What is refused before a run starts, and in which words."""

import os
import subprocess
from pathlib import Path

import pytest

from maskstream.errors import ConfigError, OutputError
from maskstream.stream.delivery import parse_deliveries
from maskstream.stream.options import RunOptions
from maskstream.tools.run.delivery_checks import check_outputs


def options_of(output="null:", results=None, sources=("in.mp4",)) -> RunOptions:
    return RunOptions(
        sources=sources,
        engine="person",
        deliveries=parse_deliveries([str(output)], [] if results is None else [str(results)]),
    )


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "OUT.MP4"])
def test_a_video_file_in_a_folder_that_is_there_is_fine_and_nothing_is_left(tmp_path, name):
    check_outputs(options_of(tmp_path / name), tmp_path / "r.json")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_may_be_replaced(tmp_path):
    (tmp_path / "out.mp4").write_text("old")
    check_outputs(options_of(tmp_path / "out.mp4"), None)
    assert (tmp_path / "out.mp4").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("out.avi", "the name ends in '.avi'; use FILE.mp4 or FILE.mkv, an existing"),
        ("out", "no folder of that name is there, and a file needs a suffix; make the folder"),
    ],
)
def test_a_video_of_an_unknown_kind_is_refused_with_the_known_ones(tmp_path, name, found):
    with pytest.raises(OutputError) as caught:
        check_outputs(options_of(tmp_path / name), None)
    assert str(caught.value).startswith(f"{tmp_path / name}: {found}")


def results_in(folder) -> RunOptions:
    return options_of(results=folder / "r.ndjson")


def test_a_folder_that_does_not_exist_is_named_with_the_command_that_makes_it(tmp_path):
    folder = tmp_path / "a"
    with pytest.raises(OutputError) as caught:
        check_outputs(results_in(folder), None)
    assert str(caught.value) == (
        f"{folder / 'r.ndjson'}: {folder} does not exist; make it first: mkdir -p {folder}"
    )
    with pytest.raises(OutputError, match="mkdir -p"):
        check_outputs(options_of(folder / "out.mp4"), None)


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(OutputError, match="is no folder"):
        check_outputs(results_in(tmp_path / "a"), None)
    with pytest.raises(OutputError, match="not a folder"):
        check_outputs(options_of(tmp_path / "a" / "out.mp4"), None)


def test_a_folder_that_cannot_be_written_to_is_named_even_to_root():
    proc = Path("/proc")
    if not (proc / "self").is_dir():
        pytest.skip("/proc is not mounted: there is no folder that even root cannot write to.")
    with pytest.raises(OutputError, match=r"/proc cannot be written to \("):
        check_outputs(results_in(proc), None)
    with pytest.raises(OutputError, match=r"cannot be written \("):
        check_outputs(options_of(proc / "out.mp4"), None)


def test_a_report_or_results_place_is_checked_too(tmp_path):
    with pytest.raises(OutputError, match=r"r\.json: .*does not exist"):
        check_outputs(options_of(), tmp_path / "a" / "r.json")
    with pytest.raises(OutputError, match=r"r\.ndjson: .*does not exist"):
        check_outputs(options_of(results=tmp_path / "a" / "r.ndjson"), None)
    with pytest.raises(OutputError, match="a folder; name a file in it"):
        check_outputs(options_of(), tmp_path)


def test_something_that_is_no_ordinary_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "r.json")
    with pytest.raises(OutputError, match="no ordinary file"):
        check_outputs(options_of(), tmp_path / "r.json")


def test_several_sources_need_a_folder(tmp_path):
    sources = ("a.mp4", "b.mp4")
    with pytest.raises(OutputError, match="as 2 sources need; make one and name it"):
        check_outputs(options_of(tmp_path / "out.mp4", sources=sources), None)
    check_outputs(options_of(tmp_path, results=tmp_path, sources=sources), tmp_path / "r.json")


def test_the_source_is_not_overwritten_by_any_of_its_names(tmp_path, monkeypatch):
    (tmp_path / "in.mp4").write_text("precious")
    (tmp_path / "link.mp4").symlink_to("in.mp4")
    monkeypatch.chdir(tmp_path)
    for output in ("in.mp4", "link.mp4", tmp_path / "in.mp4"):
        with pytest.raises(ConfigError, match="over its own source"):
            check_outputs(options_of(output), None)
        with pytest.raises(OutputError, match="it is the source itself"):
            check_outputs(options_of(), Path(output))


def test_two_outputs_in_one_file_are_refused(tmp_path):
    with pytest.raises(OutputError, match="--results and --report both name it"):
        check_outputs(options_of(results=tmp_path / "r.json"), tmp_path / "r.json")


def test_a_read_only_disk_is_said_to_be_one(tmp_path):
    target = tmp_path / "disk"
    target.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(target)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("mount is not there: no read-only disk can be had.")
    if done.returncode != 0:
        pytest.skip("this user may not mount: no read-only disk can be had.")
    try:
        with pytest.raises(OutputError, match="Read-only file system"):
            check_outputs(results_in(target), None)
    finally:
        subprocess.run(["umount", str(target)], check=True)
