"""`maskstream top` beside publishers that go on, end, vanish, or are none."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from contextlib import contextmanager

import pytest

from maskstream.stream.network.zmq_socket import parse_endpoint
from maskstream.stream.telemetry.status import build_status
from maskstream.stream.telemetry.status_publisher import TOPIC, Publisher
from tests.helpers.snapshots import make_snapshot


@contextmanager
def publishing(endpoint, figures, *, last=None):
    """Publishes figures again and again meanwhile, and `last` at the end."""
    publisher = Publisher(parse_endpoint(endpoint))
    stop = threading.Event()

    def publish() -> None:
        while not stop.wait(0.1):
            publisher.publish(build_status(figures))
        if last is not None:
            publisher.publish(build_status(last))

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        publisher.close()


@pytest.fixture
def endpoint(tmp_path):
    return f"ipc://{tmp_path}/own/one"


def read_until(process, text):
    """Lines of a command's output, up to the one with `text`."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    pytest.fail(f"{text!r} was not said: {lines}")


def test_a_run_is_followed_to_its_end(maskstream, endpoint):
    with publishing(endpoint, make_snapshot(), last=make_snapshot(250, state="ended")):
        process = maskstream.start("top", endpoint)
        lines = read_until(process, "running")
    rest, errors = process.communicate(timeout=30)
    assert lines[-1].startswith(f"{endpoint} (process {os.getpid()}): running, 100 of 250 frames")
    assert rest.splitlines()[-1].startswith(f"{endpoint} (process {os.getpid()}): ended, 250 of")
    assert (process.returncode, errors) == (0, "")


def test_a_run_that_vanished_is_called_gone_while_another_goes_on(maskstream, endpoint, tmp_path):
    other = f"ipc://{tmp_path}/own/two"
    with publishing(other, make_snapshot(7)):
        with publishing(endpoint, make_snapshot()):
            process = maskstream.start("top", endpoint, other)
            lines = read_until(process, "running")
            lines += read_until(process, "running")
        assert {line.split()[0] for line in lines if "running" in line} == {endpoint, other}
        lines = read_until(process, "gone, silent for ")
        assert lines[-1].startswith(endpoint)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_terminal_gets_the_run_s_own_table(maskstream, endpoint):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    with publishing(endpoint, make_snapshot()):
        process = subprocess.Popen(
            [maskstream.program, "top", endpoint], stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        shown = b""
        deadline_s = time.monotonic() + 30
        while b"in flight" not in shown and time.monotonic() < deadline_s:
            shown += os.read(ours, 65536)
        process.terminate()
        process.wait(30)
    os.close(ours)
    for text in ("running", "frames/s", "capture", "infer", "latency p50/p95/p99 40.0 / 60.0"):
        assert text.encode() in shown


def test_once_shows_the_figures_and_leaves(maskstream, endpoint):
    with publishing(endpoint, make_snapshot()):
        done = maskstream("top", "--once", endpoint)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1


def test_once_says_where_there_is_no_run(maskstream, endpoint):
    done = maskstream("top", "--once", endpoint)
    assert (done.returncode, done.stdout) == (2, f"{endpoint}: nothing heard yet\n")


def test_a_run_of_another_version_is_told_from_none(maskstream, endpoint):
    publisher = Publisher(parse_endpoint(endpoint))
    process = maskstream.start("top", endpoint)
    while process.poll() is None:
        # Sent as it is: no program of ours makes such a document.
        publisher._socket.send([TOPIC[:-1] + b"2", b"json", b'{"version": 2}'])
        time.sleep(0.05)
    publisher.close()
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "use the same version of maskstream on both sides" in output


@pytest.mark.parametrize("text", ["5556", "http://127.0.0.1:1"])
def test_what_is_no_endpoint_is_refused_in_one_line(maskstream, text):
    done = maskstream("top", text)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith(f"maskstream: {text}: no endpoint; use ")
