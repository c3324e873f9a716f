"""`maskstream run` as a user meets it, with a tiny engine of random weights."""

import json
import re
import signal
import time

import av
import pytest

from tests.helpers.engines.tiny import tiny_engine_file

SOURCE = "synthetic:numbered?size=160x120&fps=30&frames=12"


@pytest.fixture(scope="module")
def engine():
    return tiny_engine_file()


def refused(done, exit_code):
    """The one line of a command that was refused; nothing may be printed beside it."""
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert done.returncode == exit_code
    return lines[0]


def test_a_run_writes_video_results_and_report_and_prints_their_paths(maskstream, engine, tmp_path):
    done = maskstream(
        "run", SOURCE, "--engine", engine, "-o", "out.mp4", "--results", "out.ndjson",
        "--report", "r.json", "--score", "0.05", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("12 of 12 frames delivered in ")
    assert done.stdout.splitlines()[1:] == ["out.mp4", "out.ndjson", "r.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.ndjson", "r.json"]
    lines = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(12))
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["frames"] == {"captured": 12, "delivered": 12, "dropped": {}, "in_flight": 0}
    assert list(report["stages"]) == ["capture", "infer", "overlay", "sink"]
    assert report["engine"]["family"] == "yolact"
    assert sum(int(size) * count for size, count in report["batch_sizes"].items()) == 12


def test_an_output_that_ends_in_ndjson_is_results_without_video(maskstream, engine, tmp_path):
    done = maskstream("run", SOURCE, "--engine", engine, "-o", "seen.ndjson", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["seen.ndjson"]


def test_quiet_prints_nothing(maskstream, engine, tmp_path):
    done = maskstream("run", SOURCE, "--engine", engine, "-o", "o.mkv", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_run_says_which_engine_and_how_much_memory(maskstream, engine, tmp_path):
    done = maskstream("run", SOURCE, "--engine", engine, cwd=tmp_path)
    assert done.returncode == 0
    assert "engine tiny: openvino" in done.stderr
    assert "shared memory" in done.stderr


def test_only_the_classes_asked_for_are_kept(maskstream, engine, tmp_path):
    done = maskstream(
        "run", SOURCE, "--engine", engine, "-o", "o.ndjson", "--classes", "star",
        "--score", "0.0", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = [
        instance["class"]
        for line in (tmp_path / "o.ndjson").read_text().splitlines()
        for instance in json.loads(line)["instances"]
    ]
    assert set(seen) == {"star"}


def test_max_frames_ends_the_run(maskstream, engine, tmp_path):
    done = maskstream("run", SOURCE, "--engine", engine, "--max-frames", 5, cwd=tmp_path)
    assert done.stdout.startswith("5 of 5 frames delivered")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--batch", "0"], "--batch: 0 was given; it must be 1 to 64."),
        (["--batch", "65"], "--batch: 65 was given; it must be 1 to 64."),
        (["--score", "1.5"], "--score: 1.5 was given; it must be 0 to 1."),
        (["--score", "nan"], "--score: nan was given; it must be 0 to 1."),
        (["--top-k", "0"], "--top-k: 0 was given; it must be 1 to 100."),
        (["--max-frames", "0"], "--max-frames: 0 was given; it must be at least 1."),
        (["--classes", "sta"], "--classes: the engine does not know 'sta'; did you mean 'star'?"),
        (
            ["--backend", "abacus"],
            "--backend: 'abacus' was given; it must be auto or one of openvino",
        ),
        (["-o", "a.ndjson", "--results", "a.ndjson"], "a.ndjson: --output and --results both"),
        (["-o", "no/out.mp4"], "no: no such folder; create it with mkdir -p"),
        (["-o", "/proc/out.mp4"], "/proc/out.mp4: cannot be written (No such file or directory)"),
        (["-o", "out.avi"], "out.avi: the name ends in '.avi'; use FILE.mp4 or FILE.mkv"),
        (
            ["-o", "rstp://127.0.0.1/x"],
            "rstp://127.0.0.1/x: did you mean rtsp://?",
        ),
        (["--report", "no/r.json"], "no/r.json: no does not exist; make it first: mkdir -p no"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_request_that_cannot_be_met_is_refused_before_anything_starts(
    maskstream, engine, tmp_path, options, reason
):
    done = maskstream("run", SOURCE, "--engine", engine, *options, cwd=tmp_path)
    assert refused(done, 2).startswith(f"maskstream: {reason}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("absent.onnx", None, "no such engine file; engines with a name: "),
        ("text.onnx", b"not a network\n" * 9, "is no engine ("),
        ("empty.onnx", b"", "is no engine ("),
        ("engine.tflite", b"x", "ends in '.tflite'; an .onnx engine file is needed."),
        ("engine.pt", b"x", "its name says no configuration, as yolact_base_54_800000.pth does"),
    ],
)
def test_a_file_that_is_no_engine_is_refused(maskstream, tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = maskstream("run", SOURCE, "--engine", name, "-o", "out.mp4", cwd=tmp_path)
    assert refused(done, 2).startswith(f"maskstream: {name}: {reason}")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("absent.mp4", None), ("text.mp4", b"once upon a time\n" * 99), ("empty.mp4", b"")],
)
def test_a_source_that_is_no_video_ends_with_3_and_names_it(
    maskstream, engine, tmp_path, name, content
):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = maskstream("run", name, "--engine", engine, "-o", "out.mp4", cwd=tmp_path)
    assert refused(done, 3).startswith(f"maskstream: {name}: ")
    assert not (tmp_path / "out.mp4").exists()


def test_a_folder_without_video_ends_with_3(maskstream, engine, tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    done = maskstream("run", "texts", "--engine", engine, cwd=tmp_path)
    assert refused(done, 3).startswith("maskstream: texts: a folder with no video")


def test_the_source_is_never_written_over(maskstream, engine, tmp_path):
    maskstream("run", SOURCE, "--engine", engine, "-o", "a.mp4", cwd=tmp_path)
    before = (tmp_path / "a.mp4").read_bytes()
    done = maskstream("run", "a.mp4", "--engine", engine, "-o", "a.mp4", cwd=tmp_path)
    assert "over its own source" in refused(done, 2)
    done = maskstream("run", "a.mp4", "--engine", engine, "-o", ".", cwd=tmp_path)
    assert refused(done, 2).startswith("maskstream: .: the source a.mp4 lies in it")
    assert (tmp_path / "a.mp4").read_bytes() == before


def test_two_sources_give_two_videos_in_the_folder(maskstream, engine, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        maskstream("run", SOURCE, "--engine", engine, "-o", name, cwd=tmp_path)
    (tmp_path / "out").mkdir()
    done = maskstream("run", "a.mp4", "b.mp4", "--engine", engine, "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "b.mp4"]
    assert done.stdout.startswith("24 of 24 frames delivered")


def test_an_interrupted_run_finishes_its_files_and_ends_with_130(engine, tmp_path, maskstream):
    endless = "synthetic:numbered?size=160x120&fps=30&frames=1000000"
    line = ["run", endless, "--engine", engine, "-o", "o.mp4", "--results", "o.ndjson"]
    process = maskstream.start(*line, "--report", "r.json", cwd=tmp_path)
    partial = tmp_path / "o.partial.mp4"
    wait_until(lambda: partial.exists() and partial.stat().st_size > 10_000)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    last = stderr.splitlines()[-1]
    assert re.fullmatch(r"maskstream: interrupted: \d+ frames were delivered\.", last)
    assert "Traceback" not in stderr
    frames = json.loads((tmp_path / "r.json").read_text())["frames"]
    assert frames["captured"] == frames["delivered"] > 0
    assert stdout.splitlines()[1:] == ["o.mp4", "o.ndjson", "r.json"]
    assert len((tmp_path / "o.ndjson").read_text().splitlines()) == frames["delivered"]
    with av.open(str(tmp_path / "o.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == frames["delivered"]


def test_a_log_on_standard_error_is_alone_there_and_every_line_is_json(
    maskstream, engine, tmp_path
):
    done = maskstream("run", SOURCE, "--engine", engine, "--log-json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert (events[0], events[-1]) == ("start", "end")
    assert "ready" in events
    done = maskstream("run", "none.mp4", "--engine", engine, "--log-json", "-", cwd=tmp_path)
    assert done.returncode == 3
    end = json.loads(done.stderr.splitlines()[-1])
    assert (end["event"], end["level"], end["exit_code"]) == ("end", "error", 3)
    assert end["text"].startswith("none.mp4: no such file")


def test_every_mistake_of_a_command_line_is_told_at_once(maskstream, engine, tmp_path):
    done = maskstream(
        "run", SOURCE, "--engine", engine, "--batch", 0, "-o", "a.avi", "-o", "window",
        "--segment", "10", "--web", "8080", "--telemetry", "5556", cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    subjects = [
        line.removeprefix("maskstream: ").split(": ")[0] for line in done.stderr.splitlines()
    ]
    assert sorted(subjects) == ["--batch", "--segment", "--telemetry", "--web", "a.avi", "window"]


def wait_until(is_so, limit_s=30.0):
    """Wait for something to become true."""
    end_s = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end_s, "it did not become true"
        time.sleep(0.05)
