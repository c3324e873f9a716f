"""Download one large file: goes on where an earlier try broke off, and shows how far it is."""

import http.client
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from maskstream.engines.errors import EngineError

TIMEOUT_S = 20.0
"""Without a byte for so long, a connection counts as broken."""
FRUITLESS_TRIES_MAX = 3
"""Broken connections in a row that brought nothing, before it gives up."""
PAUSE_S = 1.0
"""Before a broken connection is made anew."""
CHUNK_BYTES = 1 << 18
SIZE_MAX_BYTES = 4 << 30


class DownloadError(EngineError, OSError):
    """A file was not had; the text says why, and whether trying again goes on."""


def download(url: str, path: Path) -> None:
    """Bring ``path`` about; what an earlier call left beside it is gone on with.

    The part that is there already lies in ``PATH.part``, and ``PATH.etag`` says of which version of
    the file it is; without that, or if the server has another version, it begins anew.

    Raises:
        DownloadError: The server is not reached, refuses, or breaks off again and again.
    """
    address = urllib.parse.urlsplit(url)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise DownloadError(f"{url}: is no address; one that begins with https:// is needed.")
    part = path.with_name(f"{path.name}.part")
    fruitless = 0
    with Shown(path.name) as shown:
        while True:
            before = _size(part)
            try:
                _go_on(url, path, part, shown)
            except (TimeoutError, ConnectionError, http.client.HTTPException) as exc:
                has_grown = _size(part) > before
                fruitless = 0 if has_grown else fruitless + 1
                if fruitless >= FRUITLESS_TRIES_MAX:
                    raise DownloadError(
                        f"{url}: broken off ({exc}) with {_size(part)} bytes here; "
                        "the same command goes on from there."
                    ) from exc
                time.sleep(PAUSE_S)
            except DownloadError:
                raise
            except OSError as exc:
                raise DownloadError(f"{part}: cannot be written ({exc.strerror}).") from exc
            else:
                break
    part.replace(path)
    _etag_file(path).unlink(missing_ok=True)


def _go_on(url: str, path: Path, part: Path, shown: "Shown") -> None:
    """Fetch what is missing, in one connection.

    Raises:
        DownloadError: Trying again is of no use.
        OSError: The connection broke; what came is kept.
    """
    request = urllib.request.Request(url)
    etag = _etag_file(path).read_text() if _etag_file(path).is_file() else ""
    have = _size(part) if etag else 0
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", etag)
    with _open(request, part) as answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0
            # A weak tag does not promise the same bytes.
            etag = answer.headers.get("ETag", "")
            _etag_file(path).write_text("" if etag.startswith("W/") else etag)
        length = answer.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        shown.begin(have, total)
        with part.open("ab" if have else "wb") as file:
            while chunk := answer.read(CHUNK_BYTES):
                file.write(chunk)
                shown.advance(len(chunk))
                if file.tell() > SIZE_MAX_BYTES:
                    raise DownloadError(f"{url}: more than {SIZE_MAX_BYTES} bytes; no such file.")
    if total is not None and _size(part) < total:
        raise ConnectionError(f"{_size(part)} of {total} bytes came")


def _open(request: urllib.request.Request, part: Path) -> http.client.HTTPResponse:
    """Ask for the file.

    Raises:
        DownloadError: No answer, or a refusal.
    """
    host = urllib.parse.urlsplit(request.full_url).netloc
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as exc:
        exc.close()
        if exc.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)
            raise ConnectionError("the part that is here is no part of it") from exc
        raise DownloadError(
            f"{request.full_url}: the server answered {exc.code} {exc.reason}."
        ) from exc
    except urllib.error.URLError as exc:
        raise DownloadError(
            f"{host}: not reached ({exc.reason}); a connection to it is needed."
        ) from exc
    return answer


def download_bar() -> Progress:
    """Return a bar of bytes that is seen in a terminal only."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


class Shown:
    """How far a download is: a bar in a terminal, else a line for each tenth."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._done = self._tenths = 0
        self._total: int | None = None
        self._bar = download_bar()
        self._task = self._bar.add_task(name, total=None)

    def begin(self, done: int, total: int | None) -> None:
        """Say how much there is and how much of it is here."""
        self._done, self._total = done, total
        self._bar.update(self._task, completed=done, total=total)

    def advance(self, count: int) -> None:
        """Say that so many bytes came."""
        self._done += count
        self._bar.advance(self._task, count)
        if not self._total or not self._bar.disable:
            return
        tenths = 10 * self._done // self._total
        if tenths > self._tenths:
            self._tenths = tenths
            sizes = f"{self._done / 1e6:.0f} of {self._total / 1e6:.0f} MB"
            print(f"{self._name}: {sizes}", file=sys.stderr)

    def __enter__(self) -> "Shown":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _etag_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.etag")
