"""`maskstream doctor`: on this machine, and on made-up ones."""

import json
import resource
from pathlib import Path

import pytest

from maskstream.engines.backends import BACKENDS, Runtime
from maskstream.stream.codecs.hardware import Trial
from maskstream.tools.doctor import cameras as doctor_cameras
from maskstream.tools.doctor import engines as doctor_engines
from maskstream.tools.doctor import machine as doctor_machine
from maskstream.tools.doctor import media as doctor_media
from tests.helpers.engines.tiny import tiny_engine_file
from tests.helpers.x_screen import x_screen

SUBJECTS = [
    "system", "packages", "cores", "memory", "shared memory", "disk", "open files", "decoders",
    "encoder", "gpu", "openvino", "backend", "display", "camera",
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


def test_no_camera_is_a_warning():
    (finding,) = doctor_cameras.check_cameras([])
    assert (finding.level, finding.found) == ("warning", "none (/dev/video*)")


def test_what_is_no_camera_is_said_of_each_device(tmp_path):
    (tmp_path / "video0").touch()
    findings = list(doctor_cameras.check_cameras([str(tmp_path / "video0"), "/dev/video4711"]))
    assert [finding.level for finding in findings] == ["warning", "warning"]
    assert "video0 cannot be asked (inappropriate ioctl for device)" in findings[0].found
    assert findings[1].found == "/dev/video4711 cannot be asked (no such file or directory)"


def test_a_display_is_there_only_if_a_server_answers(monkeypatch):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    finding = doctor_machine.check_display()
    assert (finding.level, finding.found) == ("warning", "none, DISPLAY is not set")
    assert "ssh -X" in finding.todo
    monkeypatch.setenv("DISPLAY", ":4711")
    assert doctor_machine.check_display().found == "no server at :4711 lets us in"
    with x_screen() as screen:
        monkeypatch.setenv("DISPLAY", screen.name)
        finding = doctor_machine.check_display()
        assert (finding.level, finding.found) == ("ok", f"X11 {screen.name}, 1280x800 px")


@pytest.mark.parametrize(("allowed", "level"), [(4096, "ok"), (512, "warning"), (64, "error")])
def test_few_descriptors_are_warned_of(monkeypatch, allowed, level):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, 4096))
    assert doctor_machine.check_descriptors().level == level


def test_a_folder_that_cannot_be_written_to_is_an_error():
    finding = doctor_machine.check_disk(Path("/proc"))
    assert finding.level == "error"
    assert "/proc cannot be written to" in finding.found


def codec_findings(monkeypatch, folder, **found):
    """What doctor says where each codec takes so many ms, or has a problem."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))

    def trial(one):
        result = found.get(one.name, "no driver")
        is_time = isinstance(result, float)
        return Trial(one.kind, one.name, result if is_time else None, "" if is_time else result)

    def measure(candidates):
        return [trial(one) for one in candidates]

    return [(f.level, f.subject, f.found) for f in doctor_media.check_codecs(measure)]


def test_codecs_are_told_with_their_times_and_the_one_in_use(tmp_path, monkeypatch):
    found = codec_findings(
        monkeypatch, tmp_path, cpu=2.5, cuda=1.0, vaapi=3.0, libx264=9.0, hevc_nvenc=2.0
    )
    assert found[0] == (
        "ok",
        "decoder",
        "cuda is used; a frame of 720p takes cpu 2.5 ms, cuda 1.0 ms, vaapi 3.0 ms",
    )
    assert found[1] == (
        "ok",
        "encoder",
        "libx264 is used; a frame of 720p takes libx264 9.0 ms, hevc_nvenc 2.0 ms",
    )
    level, subject, text = found[2]
    assert (level, subject) == ("warning", "encoder")
    assert "h264_nvenc (no driver)" in text


def test_a_missing_encoder_of_the_processor_is_an_error(tmp_path, monkeypatch):
    found = codec_findings(monkeypatch, tmp_path, cpu=2.5, libx264="not built in")
    assert ("error", "encoder", "libx264 does not work (not built in)") in found


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


def test_backends_are_listed_and_why_others_cannot_be_used(monkeypatch):
    findings = list(doctor_engines.check_backends())
    assert all(finding.level == "ok" for finding in findings)
    assert findings[0].found.startswith("openvino, onnxruntime, ")
    assert any("not onnxruntime:coreml: onnxruntime" in finding.found for finding in findings)
    shown = " ".join(finding.found for finding in findings)
    assert all(name in shown for name in BACKENDS)


def test_a_gpu_that_no_backend_uses_is_a_warning(monkeypatch):
    monkeypatch.setattr(doctor_engines, "why_no_gpu", lambda: None)
    monkeypatch.setattr(doctor_engines, "auto_backend", lambda: "openvino")
    idle = Runtime(open=BACKENDS["openvino"].open, why_not=lambda: "it is not installed")
    monkeypatch.setattr(doctor_engines, "BACKENDS", {"tensorrt": idle})
    _, finding = doctor_engines.check_backends()
    assert (finding.level, finding.found) == ("warning", "not tensorrt: it is not installed")
