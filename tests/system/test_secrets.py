"""A planted password, wherever one is taken, is looked for wherever something is shown."""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import zmq

from tests.helpers.engines.tiny import tiny_engine_file
from tests.helpers.ports import free_port
from tests.system.test_live import PASSWORD

pytestmark = pytest.mark.system

TRACES = (PASSWORD, "p%40ss", "p@ss", "ss%w", "ss%25w", "rd#x1", "rd%23x1")


def ask(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def until_running(web: str, process) -> None:
    """Waits until the run's page says that frames flow."""
    for _ in range(300):
        assert process.poll() is None
        try:
            if json.loads(ask(f"{web}/status"))["figures"]["frames"]["delivered"] > 5:
                return
        except (OSError, ValueError, TypeError, KeyError):
            pass  # not there yet
        time.sleep(0.2)
    pytest.fail("the run does not deliver")


def test_a_password_in_every_address_shows_nowhere(maskstream, tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTED", PASSWORD)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.rtsp_server", "--port", "0", "--user", "viewer",
         "--password", PASSWORD],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    texts: list[str] = []
    with server:
        try:
            assert server.stdout is not None
            camera = f"rtsp://viewer:${{PLANTED}}@127.0.0.1:{int(server.stdout.readline())}/live"
            # Nobody receives at the second address, which is told again and again.
            away = f"rtsp://sender:${{PLANTED}}@127.0.0.1:{free_port()}/wall"
            port, results = free_port(), f"tcp://127.0.0.1:{free_port()}"
            (tmp_path / "p.toml").write_text(
                f'[[source]]\nuri = "{camera}"\noutputs = ["{away}", "cam.mkv", '
                f'"rtsp-server://watcher:${{PLANTED}}@127.0.0.1:{free_port()}/cam"]\n'
            )
            process = maskstream.start(
                "run", "--config", tmp_path / "p.toml", "--engine", tiny_engine_file(),
                "--web", f"127.0.0.1:{port}", "--log-json", tmp_path / "log.jsonl",
                "--report", tmp_path / "report.json", "--results", results, "--verbose",
                "--chaos", "kill=overlay@3s",
            )  # fmt: skip
            listener = threading.Thread(target=_listen, args=(results, texts), daemon=True)
            listener.start()
            web = f"http://127.0.0.1:{port}"
            until_running(web, process)
            time.sleep(4)  # the overlay is killed and comes back
            for page in ("/", "/status", "/metrics", "/healthz"):
                texts.append(ask(web + page))
            texts += command_lines(process.pid)
            process.terminate()
            texts += process.communicate(timeout=60)
            listener.join(20)
        finally:
            server.kill()
    texts += [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    texts += [path.name for path in tmp_path.iterdir()]
    assert len(texts) > 20
    assert any("sender:***@" in text for text in texts)
    for trace in TRACES:
        assert [text[:200] for text in texts if trace in text] == []


@pytest.mark.parametrize(
    "words",
    [
        ["rtsp://u:{}@127.0.0.1:1/x", "--batch", "0"],
        ["nothing.mp4", "-o", "rtsp://u:{}@127.0.0.1"],
        ["nothing.mp4", "-o", "rtsp-server://u:{}@nowhere/x"],
        ["rtsp://u:{}@127.0.0.1:notaport/x"],
        ["rstp://u:{}@127.0.0.1:1/x"],
    ],
    ids=lambda words: words[-1].split(":")[0],
)
def test_a_refused_request_does_not_show_its_password(maskstream, words):
    typed = PASSWORD.replace("%", "%25").replace("#", "%23").replace("@", "%40")
    done = maskstream("run", *(word.format(typed) for word in words))
    assert done.returncode in (2, 3)
    for trace in TRACES:
        assert trace not in done.stdout + done.stderr


def command_lines(pid: int) -> list[str]:
    """The command lines and names of a run and its stages, as anybody may read them."""
    texts = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if str(pid) in (folder.name, parent):
                texts += [(folder / name).read_text() for name in ("cmdline", "comm")]
        except OSError:
            continue  # it has ended
    assert len(texts) > 10
    return texts


def _listen(endpoint: str, texts: list[str]) -> None:
    """Collects some results."""
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.subscribe(b"")
        subscriber.connect(endpoint)
        for _ in range(20):
            if not subscriber.poll(20_000):
                return
            texts.extend(part.decode() for part in subscriber.recv_multipart())
