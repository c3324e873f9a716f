"""A whole run of the command, watched from outside in every way there is."""

import json
import re
import sys
import time
import urllib.error
import urllib.request
from subprocess import PIPE, Popen

import pytest

from tests.helpers.engines.tiny import tiny_engine_file

SOURCE = "synthetic:numbered?size=160x120&fps=30&frames=100000"
# Nobody answers there, and that must not stop the other source.
DEAD_CAMERA = "rtsp://viewer:Gr%40ve%25%3Alock@127.0.0.1:9/street"
SECRETS = ("Gr%40ve", "Gr@ve", ":lock", "%3Alock")
TOKEN = "a-token-that-is-long-enough"
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(repository_dir):
    """The documentation's program that listens."""
    blocks = PYTHON_BLOCK.findall(
        (repository_dir / "docs" / "results.md").read_text(encoding="utf-8")
    )
    (code,) = (block for block in blocks if "maskstream.status" in block)
    return code


def start(maskstream, *options):
    """A run that lasts until it is ended, and where it serves its pages."""
    process = maskstream.start(
        "run",
        SOURCE,
        "--engine",
        tiny_engine_file(),
        "-v",
        "--status-http",
        "127.0.0.1:0",
        *options,
    )
    for line in process.stderr:
        if line.startswith("figures at "):
            return process, line.split()[2].removesuffix("/metrics,")
    pytest.fail("the run did not say where its figures are")


def ask(url, token=None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as page:
        return page.read().decode()


def wait_for_frames(url, token=None):
    """The first status that has delivered frames."""
    deadline_s = time.monotonic() + 40
    while time.monotonic() < deadline_s:
        try:
            status = json.loads(ask(url + "/status", token))
        except urllib.error.HTTPError as exc:
            exc.close()
            if exc.code != 503:  # no figures yet
                raise
        else:
            if status["figures"]["frames"]["delivered"]:
                return status
        time.sleep(0.1)
    pytest.fail("no frame was delivered in 40 s")


@pytest.mark.system
def test_a_run_is_watched_from_other_terminals_and_programs(maskstream, tmp_path, example):
    endpoint = f"ipc://{tmp_path}/own/figures"
    run, url = start(maskstream, "--telemetry", endpoint)
    code = example.replace("tcp://127.0.0.1:5556", endpoint)
    with Popen([sys.executable, "-c", code], stdout=PIPE, stderr=PIPE, text=True) as listener:
        top = maskstream.start("top", endpoint)
        status = wait_for_frames(url)
        assert status["pid"] == run.pid
        assert 'maskstream_run_state{state="running"} 1.0' in ask(url + "/metrics")
        assert ask(url + "/healthz") == "ok\n"
        assert listener.stdout is not None
        while not (line := listener.stdout.readline()).startswith("running "):
            assert line, "the example ended early"
        assert ": running, " in top.stdout.readline()
        run.terminate()
        listened, complaints = listener.communicate(timeout=40)
    assert complaints == ""
    assert listened.splitlines()[-1].startswith("ended ")
    shown, _ = top.communicate(timeout=40)
    assert ": ended, " in shown.splitlines()[-1]
    run.communicate(timeout=40)
    assert run.returncode == 130
    assert not (tmp_path / "own" / "figures").exists()
    with pytest.raises(urllib.error.URLError):
        ask(url + "/healthz")


@pytest.mark.system
def test_no_page_shows_a_source_s_password(maskstream, tmp_path):
    endpoint = f"ipc://{tmp_path}/own/figures"
    run, url = start(maskstream, DEAD_CAMERA, "--telemetry", endpoint)
    wait_for_frames(url)
    shown = ask(url + "/status") + ask(url + "/metrics")
    shown += maskstream("top", "--once", endpoint).stdout
    run.kill()
    output, errors = run.communicate(timeout=40)
    assert DEAD_CAMERA.rpartition("@")[2] in errors  # it was tried, and said so
    assert [secret for secret in SECRETS if secret in shown + output + errors] == []


@pytest.mark.system
def test_a_run_that_is_killed_leaves_no_server(maskstream, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    token_file.chmod(0o600)
    run, url = start(maskstream, "--status-token-file", token_file)
    wait_for_frames(url, TOKEN)
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        ask(url + "/metrics")
    refused.value.close()
    run.kill()
    run.communicate(timeout=40)
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        try:
            ask(url + "/healthz", TOKEN)
        except (urllib.error.URLError, ConnectionError):
            return
        time.sleep(0.1)
    pytest.fail("the pages are still served 20 s after the run was killed")


@pytest.mark.system
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--telemetry", "5556"], "--telemetry: 5556: no endpoint; use tcp://127.0.0.1:5556"),
        (["--telemetry", "tcp://0.0.0.0:5556"], "tcp://0.0.0.0:5556: other machines could read"),
        (["--status-http", "9100"], "--status-http: '9100' was given;"),
        (["--status-http", "0.0.0.0:9100"], "--status-http: other machines could ask at 0.0.0.0:9"),
        (["--telemetry-public"], "--telemetry-public: nothing is published;"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_outlet_that_cannot_be_had_is_refused_in_one_line(maskstream, options, reason):
    done = maskstream("run", SOURCE, "--engine", tiny_engine_file(), *options)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"maskstream: {reason}")
