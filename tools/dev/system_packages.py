"""Libraries and programs of the system: installed where apt and root are there, else named.

The Makefile runs it as `python -m maskstream.tools.dev.system_packages core|test`; the standard
library is enough.
"""

import importlib
import os
import shutil
import subprocess
import sys

CORE_PACKAGES = ("libgl1", "libglib2.0-0")
"""What OpenCV's wheel links beside what it brings along."""

TEST_PROGRAMS = {
    "ffmpeg": ("ffmpeg",),
    "ffprobe": ("ffmpeg",),
    "gcc": ("build-essential",),
    "Xvfb": ("xvfb",),
    "chromium": ("chromium", "fonts-dejavu-core"),
}
"""Program -> Debian packages: FFmpeg's own tools look at our output independently of PyAV, the
compiler builds the camera that tests play, windows need a display, and a browser letters."""


def missing_core_packages() -> tuple[str, ...]:
    """Packages that OpenCV lacks; empty where ``import cv2`` works."""
    try:
        importlib.import_module("cv2")
    except ImportError as exc:
        print(f"opencv: {exc}")
        return CORE_PACKAGES
    return ()


def missing_test_packages() -> tuple[str, ...]:
    """Packages of the programs that the tests use and that are not on the path."""
    return tuple(
        sorted(
            {
                package
                for name, packages in TEST_PROGRAMS.items()
                if shutil.which(name) is None
                for package in packages
            }
        )
    )


def install(packages: tuple[str, ...]) -> str | None:
    """Install Debian packages. Returns None when done, else the reason why not."""
    if shutil.which("apt-get") is None:
        return "apt-get is not there"
    if os.geteuid() != 0:
        return "not root"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = done.stdout.strip().splitlines()[-1:] or ["no message"]
            return f"{' '.join(command[:3])} failed: {last[0]}"
    return None


def main(arguments: list[str]) -> int:
    """Look for what is missing, install it or say what is skipped; returns the exit code."""
    wanted = {"core": missing_core_packages, "test": missing_test_packages}
    if len(arguments) != 1 or arguments[0] not in wanted:
        print(f"system_packages: {arguments}; use one of {sorted(wanted)}.", file=sys.stderr)
        return 2
    packages = wanted[arguments[0]]()
    if not packages:
        return 0
    names = " ".join(packages)
    print(f"installing system packages: {names}")
    reason = install(packages)
    if reason is None:
        return 0
    print(f"{names}: not installed, {reason}; install them with: apt-get install {names}")
    if arguments[0] == "core":
        return 2  # Nothing runs without OpenCV.
    print("the tests that need them are skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
