"""A web server of one folder that knows ranges, and can be told to misbehave."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Behaviour:
    """What the server does next, and what it was asked.

    Attributes:
        cut_after_bytes: Each connection is closed after so many bytes of body; a list is used up
            one connection at a time, then bodies are whole.
        has_ranges: Range requests are answered; else the whole file comes.
        etag: Of every file; empty for none.
    """

    folder: Path
    cut_after_bytes: list[int] = field(default_factory=list)
    has_ranges: bool = True
    etag: str = '"one"'
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve(folder: Path) -> Iterator[Behaviour]:
    """Serve a folder on a port of its own until the block ends."""
    behaviour = Behaviour(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = folder / self.path.lstrip("/")
            behaviour.ranges.append(self.headers.get("Range"))
            if not path.is_file():
                self.send_error(404)
                return
            content = path.read_bytes()
            first = self._first()
            if first > len(content):
                self.send_error(416)
                return
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(content) - first))
            if behaviour.etag:
                self.send_header("ETag", behaviour.etag)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(content)}/{len(content)}")
            self.end_headers()
            cut = behaviour.cut_after_bytes.pop(0) if behaviour.cut_after_bytes else len(content)
            self.wfile.write(content[first : first + cut])
            self.close_connection = True

        def _first(self) -> int:
            wanted = self.headers.get("Range")
            is_same = self.headers.get("If-Range") == behaviour.etag
            if wanted is None or not behaviour.has_ranges or not is_same:
                return 0
            return int(wanted.removeprefix("bytes=").removesuffix("-"))

        def log_message(self, *args):
            """A test's output stays its own."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    behaviour.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield behaviour
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
