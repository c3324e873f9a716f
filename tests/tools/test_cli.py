"""The command line as a user meets it: real processes, their exit codes and what they print."""

import json
import re

import pytest

from engines.zoo import list_engines


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
            "maskstream run: No such option: --enigne (Possible options: --engine); "
            "see maskstream run --help.",
            id="option",
        ),
        pytest.param(
            ["run"],
            "maskstream run: Missing argument 'SOURCE'; see maskstream run --help.",
            id="source",
        ),
        pytest.param(
            ["run", "x.mp4", "--batch", "two"],
            "maskstream run: Invalid value for '--batch': Input should be a valid integer, "
            "unable to parse string as an integer; "
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
