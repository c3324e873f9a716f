"""What this machine can decode and encode, found by trying."""

import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.codec import Codec, CodecContext
from av.codec.codec import UnknownCodecError
from av.video.codeccontext import VideoCodecContext

from tools.findings import Finding, error, ok, warning

DECODERS = ("h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mjpeg", "aac", "opus")
HARDWARE_ENCODERS = ("h264_nvenc", "hevc_nvenc", "h264_qsv", "h264_vaapi")
_SIDE_PX = 256
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


def check_encoders() -> Iterator[Finding]:
    """Open the encoder that recordings need, and those of graphics hardware."""
    problem = try_encoder("libx264")
    if problem is None:
        yield ok("encoder", "libx264")
    else:
        todo = "no video can be written; install PyAV's own wheel: pip install av"
        yield error("encoder", f"libx264 cannot be opened ({problem})", todo)
    problems = {name: try_encoder(name) for name in HARDWARE_ENCODERS}
    there = [name for name, problem in problems.items() if problem is None]
    if there:
        yield ok("encoder", f"hardware: {', '.join(there)}")
    else:
        causes = ", ".join(f"{name} ({problem})" for name, problem in problems.items())
        todo = "nothing, unless you have a GPU with an encoder; then look at its driver"
        yield warning("encoder", f"no hardware: {causes}", todo)


def try_encoder(name: str) -> str | None:
    """Open an encoder for a small picture; returns why it cannot be opened, None if it can."""
    try:
        context = CodecContext.create(name, "w")
    except UnknownCodecError:
        return "not built in"
    if not isinstance(context, VideoCodecContext):
        return "no video encoder"
    context.width = context.height = _SIDE_PX
    context.pix_fmt = "vaapi" if name.endswith("vaapi") else "nv12" if "_" in name else "yuv420p"
    context.time_base = Fraction(1, 25)
    context.framerate = Fraction(25)
    try:
        context.open()
    except (av.FFmpegError, OSError, ValueError) as exc:
        return getattr(exc, "strerror", None) or str(exc)
    return None


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
