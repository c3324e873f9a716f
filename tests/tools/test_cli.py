"""The command line as a user meets it: real processes, their exit codes and what they print."""

import inspect
import json
import os
import re
import subprocess
import sys

import pytest
import typer

from maskstream.engines.files.zoo import list_engines
from maskstream.tools.cli import COMMANDS, load_command, run_command_line


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


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name):
    command = load_command(name)
    if isinstance(command, typer.Typer):
        callback = command.registered_callback
        is_said = isinstance(command.info.help, str)
        text = command.info.help if is_said else inspect.getdoc(callback and callback.callback)
    else:
        text = inspect.getdoc(command)
    assert text
    first = " ".join(text.split("\n\n")[0].split())
    assert COMMANDS[name].help == first


def test_an_error_that_nothing_expected_is_one_line_with_the_files_name(
    monkeypatch, tmp_path, capsys
):
    path = tmp_path / "in.png"
    path.write_bytes(b"x")

    def broken(_name):
        raise RuntimeError("one\nand another")

    monkeypatch.setattr("maskstream.tools.cli.load_command", broken)
    assert run_command_line(["images", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"maskstream images: {path}: RuntimeError: one and another; ")


def shell(command, **options):
    text = f"{sys.executable} -m maskstream {command}"
    return subprocess.run(["bash", "-c", text], capture_output=True, check=False, **options)


@pytest.mark.parametrize("streams", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", "> /dev/full"])
def test_a_run_does_not_need_standard_streams(tmp_path, streams):
    source = "'synthetic:numbered?size=320x240&frames=4'"
    done = shell(f"run {source} --results r.ndjson -q {streams}", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len((tmp_path / "r.ndjson").read_text().splitlines()) == 4


def test_a_list_that_cannot_be_written_is_an_error_but_not_that_its_reader_left():
    full = shell("engines > /dev/full")
    assert full.returncode == 2
    assert full.stderr == (
        b"maskstream: standard output: cannot be written (No space left on device).\n"
    )
    left = shell("engines | head -c 1; exit ${PIPESTATUS[0]}")
    assert (left.returncode, left.stderr) == (0, b"")


def test_a_user_without_a_home_and_an_entry_runs_without_a_cache(tmp_path):
    """As a user id that nobody has; where that cannot be had, with a home that cannot be told."""
    code = (
        "from pathlib import Path; import sys\n"
        "def none(*_): raise RuntimeError('Could not determine home directory.')\n"
        "Path.home = none\n"
        "from maskstream.engines.files.disk import user_cache_dir\n"
        "from maskstream.tools.cli import run_command_line as run\n"
        "assert not user_cache_dir().exists()\n"
        "source = 'synthetic:numbered?size=320x240&frames=2'\n"
        "sys.exit(run(['run', source, '-q']) or run(['engines']))"
    )
    env = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={**env, "HOME": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("shell", "words", "wanted"),
    [
        ("bash", {"COMP_WORDS": "maskstream run --eng", "COMP_CWORD": "2"}, "--engine"),
        ("bash", {"COMP_WORDS": "maskstream imag", "COMP_CWORD": "1"}, "images"),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "maskstream run --policy "}, "latest"),
        (
            "fish",
            {"_TYPER_COMPLETE_ARGS": "maskstream ru", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
            "run",
        ),
    ],
)
def test_shells_complete_commands_options_and_values(shell, words, wanted):
    script = ask_to_complete(f"source_{shell}", {})
    assert "maskstream" in script
    assert "complete" in script
    assert wanted in ask_to_complete(f"complete_{shell}", words)


def ask_to_complete(instruction, words):
    command = [sys.executable, "-c", "from maskstream.tools.cli import main; main()"]
    env = {**os.environ, "_MASKSTREAM_COMPLETE": instruction, **words}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        "run --help",
        "images --help",
        "run --bogus",
        "--help",
        "engines --json",
        "doctor --help",
        "devices --help",
    ],
)
def test_help_and_usage_errors_load_nothing_heavy(arguments):
    code = (
        "import sys; from maskstream.tools.cli import run_command_line as run; import io\n"
        "sys.stdout, sys.stderr, out = io.StringIO(), io.StringIO(), sys.stdout\n"
        f"run({arguments.split()!r})\n"
        "heavy = {'numpy', 'cv2', 'av', 'openvino', 'torch', 'rich', 'aiohttp', 'zmq'}\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} & heavy), file=out)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
