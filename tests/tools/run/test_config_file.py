"""Reading a pipeline file: what it means, and every mistake in it with its line."""

import pytest

from maskstream.errors import ConfigError
from maskstream.tools.run.config_file import read_config
from maskstream.tools.run.config_keys import KeyLines
from maskstream.tools.run.faults import RequestError


def write(folder, text):
    path = folder / "p.toml"
    path.write_text(text)
    return path


def faults_of(folder, text):
    """The lines that a file is refused with, from the line number on."""
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_values_and_sources_are_read(tmp_path):
    arguments = read_config(
        write(
            tmp_path,
            'score = 1\nmax_frames = 9\n[[source]]\nuri = "0"\ntimeout = 2\n'
            '[[source]]\nuri = "rtsp://u:${P}@h/x"\noutputs = []\n',
        )
    ).arguments
    assert (arguments.score, arguments.max_frames, arguments.policy) == (1.0, 9, None)
    assert [source.uri for source in arguments.source] == ["0", "rtsp://u:${P}@h/x"]
    assert (arguments.source[0].timeout, arguments.source[0].outputs) == (2.0, None)
    assert arguments.source[1].outputs == []


def test_paths_begin_in_the_files_folder_and_addresses_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/srv/me")
    (tmp_path / "conf" / "rec").mkdir(parents=True)
    path = write(
        tmp_path / "conf",
        'outputs = ["a.mp4", "rec", "window:", "http://127.0.0.1:1", "live/x.m3u8"]\n'
        'results = ["r.ndjson", "tcp://127.0.0.1:5557"]\nreport = "/abs/r.json"\n'
        'engine = "nets/e.onnx"\nlog_json = "-"\n'
        '[[source]]\nuri = "../clips/*.mp4"\n[[source]]\nuri = "0?fps=30"\n'
        '[[source]]\nuri = "synthetic:numbered"\n[[source]]\nuri = "~/x.mp4"\n',
    )
    arguments = read_config(path).arguments
    conf = path.parent
    assert arguments.outputs == [
        f"{conf}/a.mp4", f"{conf}/rec", "window:", "http://127.0.0.1:1", f"{conf}/live/x.m3u8",
    ]  # fmt: skip
    assert arguments.results == [f"{conf}/r.ndjson", "tcp://127.0.0.1:5557"]
    assert str(arguments.report) == "/abs/r.json"
    assert (arguments.engine, arguments.log_json) == (f"{conf}/nets/e.onnx", "-")
    assert [source.uri for source in arguments.source] == [
        f"{conf}/../clips/*.mp4", "0?fps=30", "synthetic:numbered", "/srv/me/x.mp4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('engin = "x"', "1: engin: no such key; did you mean 'engine'?"),
        ("max-frames = 3", "1: max-frames: no such key; did you mean 'max_frames'?"),
        ('output = ["a.mp4"]', "1: output: no such key; did you mean 'outputs'?"),
        (
            'uri = "0"',
            "1: uri: no such key; it belongs to a source: put it below a line [[source]].",
        ),
        ("wobble = 1", "1: wobble: no such key; `maskstream config schema` has all there are."),
        ('\nbatch = "4"', "2: batch: '4' was given; a whole number is needed, without quotes."),
        ("batch = 4.5", "1: batch: 4.5 was given; a whole number is needed, without quotes."),
        ("batch = true", "1: batch: true was given; a whole number is needed, without quotes."),
        ("batch = 65", "1: batch: 65 was given; it must be 1 to 64."),
        ("max_frames = 0", "1: max_frames: 0 was given; it must be at least 1."),
        ("score = nan", "1: score: nan was given; a number is needed."),
        (
            'policy = "blok"',
            "1: policy: 'blok' was given; it must be 'block' or 'latest'; did you mean 'block'?",
        ),
        (
            'outputs = "a.mp4"',
            "1: outputs: 'a.mp4' was given; a list is needed: outputs = [\"a.mp4\"].",
        ),
        ("display_fps = 1", "1: display_fps: 1 was given; true or false is needed"),
        ("[[source]]\nuri = 0", '2: source 1: uri: 0 was given; text in quotes is needed: "0".'),
        ("[[source]]", '1: source 1: uri: left out; add uri = "...", a file, a camera or'),
        ('[[source]]\nuri = ""', "2: source 1: uri: '' was given; a text is needed that is not"),
        (
            '[[source]]\nuri = "0"\n\n[[source]]\nuri = "1"\npolcy = "block"',
            "6: source 2: polcy: no such key; did you mean 'policy'?",
        ),
        (
            '[[source]]\nuri = "0"\nengine = "person"',
            "3: source 1: engine: no such key; it is an option of the whole run: move it above",
        ),
        ('[source]\nuri = "0"', "1: source: not written as a table; begin each source with a"),
        ('source = ["0"]', "1: source: not written as a table; begin each source with a line"),
        ("a: 1", "1: not TOML: expected '=' after a key in a key/value pair; TOML has key ="),
        ("engine = person", '1: not TOML: invalid value; text is put in quotes: engine = "..."'),
        ("score =", "1: not TOML: invalid value; a value is needed, or leave the key out."),
        ("score = 1\nscore = 2", "2: not TOML: cannot overwrite a value; "),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_is_needed(tmp_path, text, fault):
    (found,) = faults_of(tmp_path, text)
    assert found.startswith(fault)


def test_every_mistake_is_found_at_once_in_the_order_of_the_lines(tmp_path):
    text = 'engin = "x"\nscore = 2\n[[source]]\nuri = 0\npolcy = "x"\n[[source]]\nname = "a"\n'
    path = write(tmp_path, text)
    with pytest.raises(RequestError) as caught:
        read_config(path)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:{n}" for n in (1, 2, 4, 5, 6)]
    assert caught.value.exit_code == 2


def test_no_password_is_shown_in_a_refusal(tmp_path):
    lines = faults_of(
        tmp_path,
        'outputs = "rtsp://u:s3cret-word@h/x"\n'
        '[[source]]\nuri = ["rtsp://u:s3cret-word@h/x"]\nurl = "rtsp://u:s3cret-word@h/x"\n',
    )
    assert len(lines) == 3
    assert "s3cret-word" not in "".join(lines)
    (line,) = faults_of(tmp_path, "uri = rtsp://u:s3cret-word@h/x\n")
    assert "s3cret-word" not in line


def test_two_sources_cannot_have_one_name(tmp_path):
    (fault,) = faults_of(
        tmp_path, '[[source]]\nuri = "0"\nname = "a"\n[[source]]\nuri = "1"\nname = "a"\n'
    )
    assert fault == "6: name: 'a' is also source 1's; give each source a name of its own."


def test_a_file_that_cannot_be_read_is_said_to_be(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path)
    (tmp_path / "p.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="no text in UTF-8"):
        read_config(tmp_path / "p.toml")


def test_lines_of_keys_are_found_under_comments_quotes_and_lists(tmp_path):
    path = tmp_path / "p.toml"
    lines = KeyLines(
        path,
        '# a = 1\n"b" = 2\nc = [\n  "d = 3",\n]\n[[source]] # one\nuri = "x"\n'
        '[[ source ]]\n uri = "y"\n',
    )
    assert lines.where("b") == f"{path}:2"
    assert lines.where("c", 0) == f"{path}:3"
    assert lines.where("source", 0, "uri") == f"{path}:7"
    assert lines.where("source", 1, "uri") == f"{path}:9"
    assert lines.where("source", 1, "policy") == f"{path}:8"
    assert lines.where("a") == str(path)
