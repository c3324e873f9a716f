"""`maskstream web-demo`: a page to drop pictures and clips on."""

import os
import signal
import socket
import tempfile
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from maskstream.engines import resolve_engine
from maskstream.engines.files.zoo import list_engines
from maskstream.errors import ConfigError
from maskstream.stream.addresses.http_address import parse_address
from maskstream.tools.arguments.extras import install_command

LOOPBACK = ("127.0.0.1", "::1", "localhost")
FRAMES_MAX = 900
UPLOAD_MAX_MB = 100


EngineOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH|NAME",
        show_default=False,
        help="To choose from, repeatable; all that have a name if left out.",
    ),
]
ListenOption = Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the page is served.")]
PublicOption = Annotated[
    bool, typer.Option("--public", help="Allow another address than this machine's own.")
]
UploadMaxMbOption = Annotated[int, typer.Option(min=1, max=2000, help="Of one file.")]
FramesMaxOption = Annotated[int, typer.Option(min=1, help="Of one clip.")]
BackendOption = Annotated[str, typer.Option(help="The runtime; as for run.")]


def web_demo(
    engine: EngineOption = None,
    listen: ListenOption = "127.0.0.1:7860",
    public: PublicOption = False,
    upload_max_mb: UploadMaxMbOption = UPLOAD_MAX_MB,
    frames_max: FramesMaxOption = FRAMES_MAX,
    backend: BackendOption = "auto",
) -> None:
    """Serve a page to try engines on pictures, clips and the browser's camera.

    It loads nothing from elsewhere and tells nobody of its use; needs the extra web-demo.

    What is uploaded is deleted after some minutes, and all of it at the end (Ctrl-C).
    """  # fmt: skip
    address = parse_address(listen, "--listen")
    if address.host not in LOOPBACK and not public:
        raise ConfigError(
            f"--listen: {listen} can be reached by other machines, and the page asks for no "
            "password; add --public if that is meant."
        )
    _check_port(address.host, address.port)
    names = tuple(engine or [entry.name for entry in list_engines()])
    for name in names:
        resolve_engine(name)
    with tempfile.TemporaryDirectory(prefix="maskstream-web-") as folder:
        _keep_to_itself(Path(folder))
        try:
            from maskstream.tools.web_demo.page import PageOptions, build_page
        except ModuleNotFoundError as exc:
            raise ConfigError(
                f"web-demo: the package {exc.name} is not installed; get what the page needs: "
                f"{install_command('web-demo')}"
            ) from exc
        from maskstream.tools.web_demo.work import Engines

        engines = Engines(backend)
        options = PageOptions(engine_names=names, frames_max=frames_max, folder=Path(folder))
        try:
            page = build_page(options, engines)
            _serve(page, address.host, address.port, upload_max_mb)
        finally:
            engines.close()


def _check_port(host: str, port: int) -> None:
    """Check that the page can be served there, before the slow part begins.

    Raises:
        ConfigError: It cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as exc:
            raise ConfigError(
                f"--listen: {host}:{port}: {exc.strerror}; use another address."
            ) from exc


def _keep_to_itself(folder: Path) -> None:
    """Tell Gradio, before it is imported, to report to nobody and where to put its files."""
    os.environ.update(
        {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "1",
            "GRADIO_TEMP_DIR": str(folder),
            # It asks itself whether it is there, which is no business of a proxy.
            "NO_PROXY": ",".join([os.environ.get("NO_PROXY", ""), *LOOPBACK]).lstrip(","),
        }
    )


def _serve(page: Any, host: str, port: int, upload_max_mb: int) -> None:
    """Serve the page until Ctrl-C or SIGTERM."""
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    page.launch(
        server_name=host,
        server_port=port or None,
        max_file_size=upload_max_mb * 1_000_000,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        footer_links=[],
        show_error=True,
    )
    try:
        print(page.local_url.rstrip("/"), flush=True)
        ended.wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        page.close(verbose=False)
