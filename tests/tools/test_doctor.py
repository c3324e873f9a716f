"""`maskstream doctor`: on this machine, and on made-up ones."""

import json
import resource
import socket
from pathlib import Path

import av
import pytest

from tests.engines.tiny import tiny_engine_file
from tools import doctor_engines, doctor_machine, doctor_media

SUBJECTS = [
    "system", "packages", "cores", "memory", "shared memory", "disk", "open files", "decoders",
    "encoder", "gpu", "openvino", "display", "camera",
]  # fmt: skip
GIB = 1 << 30


def test_doctor_says_of_each_subject_how_it_is_and_what_to_do(maskstream, tmp_path):
    done = maskstream("doctor", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for subject in SUBJECTS:
        assert any(line[9:].startswith(subject) for line in lines), subject
    assert any(line.startswith("ok       encoder        libx264") for line in lines)
    assert any(str(tmp_path) in line for line in lines)
    assert lines[-1].endswith("0 errors")


def test_doctor_gives_programs_json(maskstream):
    done = maskstream("doctor", "--json")
    findings = json.loads(done.stdout)
    assert {finding["level"] for finding in findings} <= {"ok", "warning"}
    assert {finding["subject"] for finding in findings} >= set(SUBJECTS)
    for finding in findings:
        assert finding.keys() == {"subject", "level", "found", "todo"}
        assert bool(finding["todo"]) == (finding["level"] != "ok")


def test_an_error_ends_doctor_with_1(maskstream):
    done = maskstream("doctor", "--json", cwd=Path("/proc"))
    errors = [f["subject"] for f in json.loads(done.stdout) if f["level"] == "error"]
    assert (errors, done.returncode) == (["disk"], 1)


@pytest.fixture
def machine(tmp_path: Path):
    """A made-up machine of 8 GiB in a control group of a given size."""

    def make(free_bytes: int, limit_bytes: int | None = None, used_bytes: int = 0) -> Path:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/meminfo").write_text(
            f"MemTotal: {8 * GIB // 1024} kB\nMemAvailable: {free_bytes // 1024} kB\n"
        )
        (tmp_path / "proc/self/cgroup").write_text("0::/box\n")
        box = tmp_path / "sys/fs/cgroup/box"
        box.mkdir(parents=True)
        (box / "memory.max").write_text("max" if limit_bytes is None else str(limit_bytes))
        (box / "memory.current").write_text(str(used_bytes))
        (box / "memory.stat").write_text("inactive_file 0\n")
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("free_bytes", "limit_bytes", "level", "found"),
    [
        (4 * GIB, None, "ok", "4.0 GiB free of 8.0 GiB"),
        (GIB, None, "warning", "1.0 GiB free of 8.0 GiB"),
        (GIB // 4, None, "error", "0.2 GiB free of 8.0 GiB"),
        (
            4 * GIB, GIB, "warning",
            "1.0 GiB free of 8.0 GiB; "
            "the machine has 4.0 GiB, but its control group leaves no more",
        ),
    ],
)  # fmt: skip
def test_memory_is_what_the_control_group_leaves(machine, free_bytes, limit_bytes, level, found):
    finding = doctor_machine.check_memory(machine(free_bytes, limit_bytes))
    assert (finding.level, finding.found) == (level, found)


def test_cameras_are_listed_and_their_absence_is_a_warning(tmp_path):
    (tmp_path / "dev").mkdir()
    assert [f.level for f in doctor_machine.check_cameras(tmp_path)] == ["warning"]
    for name in ("video0", "video1"):
        (tmp_path / "dev" / name).touch()
    findings = list(doctor_machine.check_cameras(tmp_path))
    assert [(f.level, Path(f.found).name) for f in findings] == [("ok", "video0"), ("ok", "video1")]


def test_a_display_is_there_only_if_a_server_answers(monkeypatch):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert doctor_machine.check_display().level == "warning"
    monkeypatch.setenv("DISPLAY", ":4711")
    assert "no server answers" in doctor_machine.check_display().found
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind("\0/tmp/.X11-unix/X4711")
        server.listen()
        assert doctor_machine.check_display().level == "ok"


@pytest.mark.parametrize(("allowed", "level"), [(4096, "ok"), (512, "warning"), (64, "error")])
def test_few_descriptors_are_warned_of(monkeypatch, allowed, level):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, 4096))
    assert doctor_machine.check_descriptors().level == level


def test_a_folder_that_cannot_be_written_to_is_an_error():
    finding = doctor_machine.check_disk(Path("/proc"))
    assert finding.level == "error"
    assert "/proc cannot be written to" in finding.found


def test_an_encoder_counts_only_if_it_opens():
    assert doctor_media.try_encoder("libx264") is None
    assert doctor_media.try_encoder("no_such_encoder") == "not built in"
    assert doctor_media.try_encoder("aac") == "no video encoder"
    # Built into the wheel, but of no use without a driver; where there is one, it opens.
    if "h264_nvenc" in av.codecs_available and not Path("/proc/driver/nvidia").exists():
        assert doctor_media.try_encoder("h264_nvenc") is not None


def program(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_gpu_is_named_as_its_driver_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert doctor_media.check_gpu(tmp_path / "none").found == "none from NVIDIA"
    assert "no nvidia-smi" in doctor_media.check_gpu(tmp_path).found
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    program(tmp_path / "bin", "echo 'NVIDIA L4, 23034 MiB, 580.1'")
    finding = doctor_media.check_gpu()
    assert (finding.level, finding.found) == ("ok", "NVIDIA L4, 23034 MiB, 580.1")
    program(tmp_path / "bin", "echo 'Driver/library version mismatch'; exit 18")
    finding = doctor_media.check_gpu()
    assert (finding.level, finding.found) == (
        "warning", "nvidia-smi: Driver/library version mismatch",
    )  # fmt: skip


def test_engines_are_listed_and_a_broken_one_is_an_error(tmp_path):
    (tmp_path / "person.onnx").write_bytes(tiny_engine_file().read_bytes())
    (tmp_path / "broken.onnx").write_text("no engine")
    broken, person = doctor_engines.check_engines(tmp_path)
    assert (broken.level, person.level) == ("error", "ok")
    assert "broken.onnx" in broken.found
    assert person.found == "person: yolact, 64 x 64 px, circle, square, star"


def test_a_missing_engine_is_a_warning(tmp_path):
    (finding,) = doctor_engines.check_engines(tmp_path)
    assert finding.level == "warning"
    assert finding.found.startswith("person, ")


def test_openvino_s_devices_are_named_with_their_precisions():
    findings = list(doctor_engines.check_openvino())
    assert all(finding.level == "ok" for finding in findings)
    cpu = next(finding for finding in findings if finding.found.startswith("CPU: "))
    assert "fp32" in cpu.found
