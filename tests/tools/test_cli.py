"""The command line as a user meets it: real processes, their exit codes and what they print."""

import json
import re

import pytest

from maskstream.engines.files.zoo import list_engines


def test_version_is_one_line(maskstream):
    done = maskstream("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"maskstream \d+\.\d+\.\d+\n", done.stdout)
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["run", "-h"], ["engines", "--help"]])
def test_help_is_printed_on_standard_output(maskstream, arguments):
    done = maskstream(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: maskstream" in done.stdout


def test_without_a_command_the_help_is_shown_and_the_exit_code_is_2(maskstream):
    done = maskstream()
    assert done.returncode == 2
    assert "run" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(
            ["rnu"],
            "maskstream: No such command 'rnu'. Did you mean 'run'? see maskstream --help.",
            id="command",
        ),
        pytest.param(
            ["run", "x.mp4", "--enigne", "e"],
            "maskstream run: No such option: --enigne "
            "(Possible options: --config, --device, --engine); see maskstream run --help.",
            id="option",
        ),
        pytest.param(
            ["run"],
            "maskstream: SOURCE: none was given; name a video file, a folder, a camera such as 0 "
            "or an address, or a file that does: --config FILE.",
            id="source",
        ),
        pytest.param(
            ["run", "x.mp4", "--batch", "two"],
            "maskstream run: Invalid value for '--batch': a whole number is needed; "
            "see maskstream run --help.",
            id="number",
        ),
        pytest.param(
            ["run", "x.mp4", "--policy", "fastest"],
            "maskstream run: Invalid value for '--policy': 'fastest' is not one of 'block', "
            "'latest'; see maskstream run --help.",
            id="choice",
        ),
    ],
)
def test_a_mistyped_command_line_is_answered_in_one_line(maskstream, arguments, line):
    done = maskstream(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line + "\n")


@pytest.mark.parametrize("command", ["images", "train", "tune", "eval", "import", "engines fetch"])
def test_every_command_has_help(maskstream, command):
    done = maskstream(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: maskstream {command}" in done.stdout


def test_options_may_be_written_with_underscores_as_yolact_writes_them(maskstream, tmp_path):
    done = maskstream(
        "train", "absent.json", "--batch_size", "0", "--save_folder", tmp_path / "run"
    )
    assert done.returncode == 2
    assert done.stderr.startswith("maskstream train: Invalid value for '--batch' / '--batch-size'")


def test_engines_as_json_has_the_described_keys(maskstream):
    done = maskstream("engines", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    listed = json.loads(done.stdout)
    assert [entry["name"] for entry in listed] == [entry.name for entry in list_engines()]
    for entry in listed:
        assert set(entry) == {
            "name", "path", "family", "classes", "input_size", "source", "licence", "ap",
        }  # fmt: skip


def test_engines_lists_every_name(maskstream):
    done = maskstream("engines")
    assert (done.returncode, done.stderr) == (0, "")
    for entry in list_engines():
        assert entry.name in done.stdout
