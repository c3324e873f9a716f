"""`maskstream config` and `run --config` as a user meets them."""

import json

import pytest

from tests.helpers.engines.tiny import tiny_engine_file

SOURCE = "synthetic:numbered?size=160x120&fps=30&frames=12"
AWAY = "rtsp://viewer:hunter22word@127.0.0.1:9/stream"


@pytest.fixture(scope="module")
def engine():
    return tiny_engine_file()


def write(folder, text, name="p.toml"):
    path = folder / name
    path.write_text(text)
    return path


def two_sources(engine):
    return f"""
engine = "{engine}"
score = 0.05
outputs = ["rec"]
report = "r.json"

[[source]]
name = "door"
uri = "{SOURCE}"

[[source]]
uri = "{SOURCE}"
outputs = ["b.mp4", "b.ndjson"]
max_frames = 5
"""


def test_a_run_takes_sources_and_options_from_a_file(maskstream, engine, tmp_path):
    (tmp_path / "conf" / "rec").mkdir(parents=True)
    write(tmp_path / "conf", two_sources(engine))
    done = maskstream("run", "--config", "conf/p.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "conf" / "r.json").read_text())
    assert report["frames"]["delivered"] == 17
    assert len(list((tmp_path / "conf" / "rec").iterdir())) == 1
    assert (tmp_path / "conf" / "b.mp4").is_file()
    assert len((tmp_path / "conf" / "b.ndjson").read_text().splitlines()) == 5


def test_what_is_typed_goes_before_the_file(maskstream, engine, tmp_path):
    write(tmp_path, two_sources(engine).replace("rec", "."))
    done = maskstream("run", "--config", "p.toml", "-o", "null:", "--max-frames", 3, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("6 of 6 frames delivered")
    assert not (tmp_path / "b.mp4").exists()


def test_sources_that_are_typed_take_the_place_of_the_files(maskstream, engine, tmp_path):
    write(tmp_path, two_sources(engine))
    short = SOURCE.replace("frames=12", "frames=4")
    done = maskstream("run", short, "--config", "p.toml", "-o", "null:", cwd=tmp_path)
    assert done.stdout.startswith("4 of 4 frames delivered"), done.stderr
    assert "p.toml: its 2 sources are ignored; others were typed." in done.stderr


def test_check_finds_nothing_wrong_and_starts_nothing(maskstream, engine, tmp_path):
    (tmp_path / "rec").mkdir()
    write(tmp_path, two_sources(engine))
    done = maskstream("config", "check", "p.toml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "p.toml: no mistake found; 2 sources can be run.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.toml", "rec"]
    assert list((tmp_path / "rec").iterdir()) == []


def test_check_finds_every_mistake_at_once_with_its_line(maskstream, tmp_path):
    (tmp_path / "text.mp4").write_text("once upon a time\n" * 99)
    text = f"""
engine = "persona"
backend = "abacus"
report = "no/r.json"
outputs = ["out.mp4"]
keep = "24h"
status_http = "here"
[[source]]
uri = "{SOURCE}"
outputs = ["rstp://h/x", "a.avi"]
[[source]]
uri = "rtsp://u:${{NO_SUCH_VARIABLE}}@h/x"
[[source]]
uri = "text.mp4"
results = ["seen.mp4"]
"""
    write(tmp_path, text)
    done = maskstream("config", "check", "p.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    faults = sorted(line.removeprefix("maskstream: p.toml:") for line in done.stderr.splitlines())
    beginnings = sorted(
        [
            "2: persona: no such engine file",
            "3: backend: 'abacus' was given",
            "4: no/r.json: no does not exist",
            "6: keep: nothing is recorded in chunks",
            "7: status_http: 'here' was given",
            "10: rstp://h/x: did you mean rtsp://?",
            "10: a.avi: the name ends in '.avi'",
            "12: rtsp://u:***@h/x: the environment variable NO_SUCH_VARIABLE is not set",
            "15: seen.mp4: a video's name",
        ]
    )
    assert len(faults) == len(beginnings), done.stderr
    for fault, beginning in zip(faults, beginnings, strict=True):
        assert fault.startswith(beginning)
    # What only opening a source shows comes once the rest is right.
    write(tmp_path, '[[source]]\nuri = "text.mp4"\n[[source]]\nuri = "none.mp4"\n')
    done = maskstream("config", "check", "p.toml", cwd=tmp_path)
    assert done.returncode == 3
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["p.toml:2", "p.toml:4"]


def test_a_source_that_is_away_is_no_mistake_and_its_password_is_not_shown(maskstream, tmp_path):
    write(tmp_path, f'[[source]]\nuri = "{AWAY}"\ntimeout = 0.5\n')
    done = maskstream("config", "check", "p.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "connection refused" in done.stdout
    assert "p.toml: note: p.toml:2: the password stands in the file" in done.stdout
    assert "a run would wait" in done.stdout
    assert "hunter22word" not in done.stdout + done.stderr


def test_explain_says_where_each_value_comes_from(maskstream, engine, tmp_path):
    (tmp_path / "rec").mkdir()
    write(tmp_path, two_sources(engine))
    done = maskstream("config", "explain", "p.toml", "--top-k", 3, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["top_k", "3", "command", "line"] in rows
    assert ["score", "0.05", "p.toml:3"] in rows
    assert ["rtsp_transport", "tcp", "default"] in rows
    assert ["source", "2:", "max_frames", "5", "p.toml:14"] in rows
    assert ["source", "1", "door,", "p.toml:7"] in rows
    assert ["uri", SOURCE] in rows
    assert "160x120, 30/s" in done.stdout
    assert "MiB of shared memory in 2 pools" in done.stdout
    assert "threads" in done.stdout


def test_the_schema_knows_every_key_and_refuses_others(maskstream):
    done = maskstream("config", "schema")
    assert (done.returncode, done.stderr) == (0, "")
    schema = json.loads(done.stdout)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["batch"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 64,
        "description": schema["properties"]["batch"]["description"],
    }
    source = schema["$defs"]["SourceArguments"]
    assert source["required"] == ["uri"]
    assert source["properties"]["policy"]["enum"] == ["block", "latest"]


def test_a_file_without_sources_says_what_is_missing(maskstream, tmp_path):
    write(tmp_path, "score = 0.4\n")
    done = maskstream("run", "--config", "p.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("maskstream: p.toml: no source in it; add a table [[source]]")
