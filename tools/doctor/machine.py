"""What the machine and its system allow: cores, memory, disk, descriptors, display."""

import os
import platform
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from maskstream.errors import ConfigError
from maskstream.stream.processes.machine import available_cores, available_memory_bytes
from maskstream.stream.viewers.window.display import screen_size
from maskstream.stream.viewers.window.window import check_display as check_windows
from maskstream.tools.doctor.findings import Finding, error, ok, warning

GIB = 1 << 30
MEMORY_ENOUGH_BYTES = 2 * GIB
MEMORY_LEAST_BYTES = GIB // 2
DISK_ENOUGH_BYTES = 5 * GIB
DISK_LEAST_BYTES = GIB // 4
DESCRIPTORS_ENOUGH = 1024
DESCRIPTORS_LEAST = 128
_ROOT = Path("/")


def check_system() -> Finding:
    """Look at the operating system, which has to be Linux, and at Python."""
    found = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    if not sys.platform.startswith("linux"):
        return error("system", found, "maskstream runs on Linux alone")
    return ok("system", found)


def check_cores() -> Finding:
    """Look at the cores that this process may keep busy."""
    allowed, present = available_cores(), os.cpu_count() or 1
    found = f"{allowed} of {present}"
    if allowed < 2:
        todo = "a run's stages take turns on one core; allow more in the container or service"
        return warning("cores", found, todo)
    return ok("cores", found)


def check_memory(root: Path = _ROOT) -> Finding:
    """Look at the memory that can be taken, control groups included.

    Args:
        root: Where ``proc`` and ``sys`` lie; another one only in tests.
    """
    free_bytes = available_memory_bytes(root)
    machine = _meminfo_bytes(root)
    found = f"{_gib(free_bytes)} free of {_gib(machine['MemTotal'])}"
    spare_bytes = machine["MemAvailable"]
    # The two are read one after the other, so they differ a little where no group sets a limit.
    if free_bytes < 0.9 * spare_bytes:
        found += f"; the machine has {_gib(spare_bytes)}, but its control group leaves no more"
    if free_bytes < MEMORY_LEAST_BYTES:
        return error("memory", found, "stop other programs, or raise the container's limit")
    if free_bytes < MEMORY_ENOUGH_BYTES:
        return warning("memory", found, f"a run needs about {_gib(MEMORY_LEAST_BYTES)} a source")
    return ok("memory", found)


def check_shared_memory() -> Finding:
    """Take a piece of the nameless memory that frames travel in."""
    try:
        fd = os.memfd_create("maskstream-doctor", os.MFD_CLOEXEC)
        try:
            os.posix_fallocate(fd, 0, 1 << 20)
        finally:
            os.close(fd)
    except (AttributeError, OSError) as exc:
        todo = "allow memfd_create in the container's seccomp profile"
        return error("shared memory", f"refused ({exc})", todo)
    return ok("shared memory", "memfd works")


def check_disk(folder: Path) -> Finding:
    """Look whether a folder can be written to, and how much."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        free_bytes = shutil.disk_usage(folder).free
    except OSError as exc:
        found = f"{folder} cannot be written to ({exc.strerror})"
        return error("disk", found, "change to a folder of your own")
    found = f"{_gib(free_bytes)} free in {folder}"
    if free_bytes < DISK_LEAST_BYTES:
        return error("disk", found, "free some space, or change to another folder")
    if free_bytes < DISK_ENOUGH_BYTES:
        return warning("disk", found, "an hour of 1080p takes a few GiB; free some space")
    return ok("disk", found)


def check_descriptors() -> Finding:
    """Look how many files and sockets a process may have open."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{'unlimited' if allowed == resource.RLIM_INFINITY else allowed} (ulimit -n)"
    # Unlimited is -1.
    if 0 <= allowed < DESCRIPTORS_ENOUGH:
        todo = f"raise it for many sources: ulimit -n {min(most, 4096) if most > 0 else 4096}"
        make = error if allowed < DESCRIPTORS_LEAST else warning
        return make("open files", found, todo)
    return ok("open files", found)


def check_display() -> Finding:
    """Look whether a window could be shown."""
    try:
        check_windows()
        width, height = screen_size()
    except ConfigError as exc:
        found, _, todo = str(exc).partition(": ")[2].rstrip(".").partition("; ")
        return warning("display", found, todo)
    return ok("display", f"X11 {os.environ['DISPLAY']}, {width}x{height} px")


def _meminfo_bytes(root: Path) -> dict[str, int]:
    lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
    fields = (line.split() for line in lines)
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in fields if len(words) > 1}


def _gib(count_bytes: int) -> str:
    return f"{count_bytes / GIB:.1f} GiB"
