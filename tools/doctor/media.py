"""What this machine can decode and encode, found by trying."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError

from maskstream.stream.codecs.hardware import (
    CANDIDATES,
    CPU,
    KINDS,
    PROCESSOR,
    Measure,
    best_of,
    keep,
    try_codecs,
)
from maskstream.tools.doctor.findings import Finding, error, ok, warning

DECODERS = ("h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mjpeg", "aac", "opus")
_DRIVER_S = 20.0


def check_decoders() -> Finding:
    """Look which decoders of common recordings and streams FFmpeg brings."""
    missing = [name for name in DECODERS if not _has_decoder(name)]
    found = f"FFmpeg in PyAV {av.__version__}: " + ", ".join(
        name for name in DECODERS if name not in missing
    )
    if not missing:
        return ok("decoders", found)
    todo = f"{', '.join(missing)} cannot be read; install PyAV's own wheel: pip install av"
    return (error if "h264" in missing else warning)("decoders", found, todo)


def check_codecs(measure: Measure = try_codecs) -> Iterator[Finding]:
    """Try graphics hardware's decoders and encoders beside the processor's; keep the times.

    Args:
        measure: Instead of trying; for tests.
    """
    trials = measure((*PROCESSOR, *CANDIDATES))
    keep(trials)
    for kind in KINDS:
        choice = best_of(kind, trials)
        own = next(trial for trial in trials if (trial.kind, trial.name) == (kind, CPU[kind]))
        if own.frame_ms is None:
            todo = "install PyAV's own wheel: pip install av"
            yield error(kind, f"{own.name} does not work ({own.problem})", todo)
            continue
        there = [
            f"{trial.name} {trial.frame_ms:.1f} ms"
            for trial in trials
            if trial.kind == kind and trial.frame_ms is not None
        ]
        yield ok(kind, f"{choice.name} is used; a frame of 720p takes {', '.join(there)}")
        missing = [
            f"{trial.name} ({trial.problem})"
            for trial in trials
            if trial.kind == kind and trial.frame_ms is None
        ]
        if missing:
            todo = "nothing, unless you have such hardware; then look at its driver"
            yield warning(kind, f"not here: {', '.join(missing)}", todo)


def check_gpu(driver: Path = Path("/proc/driver/nvidia/version")) -> Finding:
    """Ask NVIDIA's driver which graphics processors there are.

    Args:
        driver: What it leaves where it is loaded; another one only in tests.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        if driver.exists():
            todo = "in a container, start it with --gpus all; else install the driver's tools"
            return warning("gpu", "a driver, but no nvidia-smi", todo)
        return warning("gpu", "none from NVIDIA", "nothing: engines run on the processor")
    command = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_DRIVER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return warning(
            "gpu", "nvidia-smi does not answer", "look at the driver: dmesg | grep -i nv"
        )
    if done.returncode != 0 or not done.stdout.strip():
        said = (done.stdout + done.stderr).strip().splitlines()[:1] or ["no answer"]
        return warning("gpu", f"nvidia-smi: {said[0]}", "look at the driver: dmesg | grep -i nv")
    return ok("gpu", "; ".join(done.stdout.strip().splitlines()))


def _has_decoder(name: str) -> bool:
    try:
        Codec(name, "r")
    except UnknownCodecError:
        return False
    return True
