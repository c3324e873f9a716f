"""Results on ZeroMQ: real sockets, sinks in processes of their own, killed and slow ones."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from maskstream.engines.interface.instances import Instances
from maskstream.errors import ConfigError
from maskstream.stream.network.zmq_socket import parse_endpoint
from maskstream.stream.recording.results import as_json, frame_record
from maskstream.stream.telemetry.results_publisher import ResultsHub, ResultsPublisher, topic_of

PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README_MARKER = "maskstream.results"
SINK = """
import sys, time
from tests.stream.telemetry.test_results_publisher import make_record, publisher_for
publisher = publisher_for(sys.argv[1], int(sys.argv[2]))
for number in range(int(sys.argv[3])):
    publisher.write(make_record(number, source=int(sys.argv[2])))
    time.sleep(float(sys.argv[4]))
publisher.close(complete=True)
"""


def make_record(number: int, count: int = 1, source: int = 0) -> dict[str, Any]:
    """The document of frame ``number`` with ``count`` persons in it."""
    instances = Instances(
        boxes_xyxy_src=np.tile(np.array([[8, 4, 16, 12]], np.float32), (count, 1)),
        scores=np.full(count, 0.75, np.float32),
        class_ids=np.zeros(count, np.int32),
        extents_xyxy_src=np.tile(np.array([[8, 4, 16, 12]], np.int32), (count, 1)),
        patches=(np.full((8, 8), 255, np.uint8),) * count,
    )
    return frame_record(
        instances, source=source, seq=number, pts_s=number / 25, class_names=("person", "dog"),
        width=64, height=48,
    )  # fmt: skip


def publisher_for(address: str, source_id: int, encoding="json") -> ResultsPublisher:
    return ResultsPublisher(address, encoding=encoding, source_id=source_id)


def start_sink(hub, source_id, count, period_s=0.0):
    code = [sys.executable, "-c", SINK, hub.address, source_id, count, period_s]
    return subprocess.Popen(list(map(str, code)), cwd=Path(__file__).parents[3])


@pytest.fixture
def hub(tmp_path):
    hub = ResultsHub(parse_endpoint(f"ipc://{tmp_path}/own/results"))
    yield hub
    hub.close()


@pytest.fixture
def listen(tmp_path):
    """Subscribes; the sockets are closed at the end."""
    context = zmq.Context()
    made = []

    def connect(topic=b"", address=f"ipc://{tmp_path}/own/results") -> zmq.Socket[bytes]:
        subscriber = context.socket(zmq.SUB)
        subscriber.setsockopt(zmq.LINGER, 0)
        subscriber.subscribe(topic)
        subscriber.connect(address)
        made.append(subscriber)
        return subscriber

    yield connect
    for subscriber in made:
        subscriber.close()
    context.term()


def wait_until_heard(hub, *subscribers):
    """Publish, as source 99, until every subscriber has got one; then read the rest away."""
    publisher = publisher_for(hub.address, 99)
    waiting = set(subscribers)
    deadline_s = time.monotonic() + 20
    while waiting:
        assert time.monotonic() < deadline_s, "nothing came within 20 s"
        publisher.write(make_record(0))
        waiting -= {subscriber for subscriber in waiting if subscriber.poll(20)}
    publisher.abort()
    for subscriber in subscribers:
        while subscriber.poll(200):
            subscriber.recv_multipart()


def messages(subscriber, ends=1):
    """All that comes, up to so many ends."""
    found: list[list[bytes]] = []
    while ends:
        assert subscriber.poll(20_000), f"nothing came within 20 s, after {len(found)} messages"
        found.append(subscriber.recv_multipart())
        ends -= b'"ended"' in found[-1][3]
    return found


def test_a_message_is_the_line_of_the_results_file(hub, listen):
    subscriber = listen()
    wait_until_heard(hub, subscriber)
    publisher = publisher_for(hub.address, 0)
    publisher.write(make_record(7))
    publisher.close(complete=True)
    first, end = messages(subscriber)
    expected = as_json(make_record(7))
    assert first == [b"maskstream.results.1/0/", b"json", b"0", expected.encode()]
    assert end[:3] == [b"maskstream.results.1/0/", b"json", b"1"]
    assert json.loads(end[3]) == {"source": 0, "ended": True, "complete": True}


def test_msgpack_holds_the_same(hub, listen):
    subscriber = listen()
    wait_until_heard(hub, subscriber)
    for encoding in ("json", "msgpack"):
        publisher = publisher_for(hub.address, 0, encoding)
        publisher.write(make_record(7, count=3))
        publisher.close(complete=False)
    found: list[list[bytes]] = []
    while len(found) < 4:
        assert subscriber.poll(20_000)
        found.append(subscriber.recv_multipart())
    assert [message[1] for message in found] == [b"json"] * 2 + [b"msgpack"] * 2
    assert [msgpack.unpackb(message[3]) for message in found[2:]] == [
        json.loads(message[3]) for message in found[:2]
    ]
    assert msgpack.unpackb(found[3][3])["complete"] is False


def test_sinks_of_several_processes_share_one_endpoint(hub, listen):
    everything, only_one = listen(), listen(topic_of(1))
    wait_until_heard(hub, everything)
    sinks = [start_sink(hub, source_id, 50, 0.01) for source_id in (1, 10)]
    found = messages(everything, ends=2)
    assert [sink.wait(20) for sink in sinks] == [0, 0]
    for source_id in (1, 10):
        own = [message for message in found if message[0] == topic_of(source_id)]
        assert [int(message[2]) for message in own] == list(range(51))
        assert [json.loads(message[3]).get("seq") for message in own] == [*range(50), None]
    assert {message[0] for message in messages(only_one)} == {topic_of(1)}


def test_a_sink_that_is_killed_and_its_successor_reach_the_same_listener(hub, listen):
    subscriber = listen()
    wait_until_heard(hub, subscriber)
    killed = start_sink(hub, 0, 100_000, 0.01)
    assert subscriber.poll(20_000)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    while subscriber.poll(300):
        subscriber.recv_multipart()
    successor = start_sink(hub, 0, 3, 0.01)
    # Numbers begin anew, so that a listener knows.
    assert [int(message[2]) for message in messages(subscriber)] == [0, 1, 2, 3]
    assert successor.wait(20) == 0


def test_a_listener_that_never_reads_loses_messages_and_sees_it_by_their_numbers(hub, listen):
    slow = listen()
    slow.setsockopt(zmq.RCVHWM, 10)
    wait_until_heard(hub, slow)
    publisher = publisher_for(hub.address, 0)
    records = [make_record(number, count=15) for number in range(10)]
    started_s = time.monotonic()
    for number in range(5000):  # 10 MB
        publisher.write(records[number % 10])
        if number % 100 == 0:
            time.sleep(0.01)
    assert time.monotonic() - started_s < 40
    publisher.close(complete=True)
    numbers = []
    while slow.poll(1000):
        numbers.append(int(slow.recv_multipart()[2]))
    assert numbers == sorted(set(numbers))
    assert len(numbers) < 5001


def test_a_hub_that_hangs_does_not_hold_a_sink_up(hub):
    # As good as a hub that does not read: an endpoint that nobody is at.
    publisher = publisher_for("ipc:///proc/self/fd/999", 0)
    for number in range(1000):
        publisher.write(make_record(number))
    started_s = time.monotonic()
    publisher.close(complete=True)
    assert time.monotonic() - started_s < 10


def test_the_hub_hands_out_what_has_come_before_it_closes(tmp_path, listen):
    hub = ResultsHub(parse_endpoint(f"ipc://{tmp_path}/own/results"))
    subscriber = listen()
    wait_until_heard(hub, subscriber)
    publisher = publisher_for(hub.address, 0)
    for number in range(100):
        publisher.write(make_record(number))
    publisher.close(complete=True)
    hub.close()
    assert len(messages(subscriber)) == 101
    assert not (tmp_path / "own" / "results").exists()


def test_nothing_is_left_of_a_hub_that_is_killed(tmp_path):
    code = (
        "import os, sys\n"
        "from maskstream.stream.network.zmq_socket import *\n"
        "from maskstream.stream.telemetry.results_publisher import *\n"
        "hub = ResultsHub(parse_endpoint(sys.argv[1])); os.kill(os.getpid(), 9)\n"
    )
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    subprocess.run(
        [sys.executable, "-c", code, endpoint],
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert list(tmp_path.iterdir()) == []


def test_a_listener_from_the_web_or_another_run_is_refused(hub, tmp_path):
    with pytest.raises(ConfigError, match=r"other machines could read the results there; use"):
        ResultsHub(parse_endpoint("tcp://0.0.0.0:5557"))
    with pytest.raises(ConfigError, match="another run publishes there"):
        ResultsHub(parse_endpoint(f"ipc://{tmp_path}/own/results"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = parse_endpoint(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(ConfigError, match="cannot be taken"):
            ResultsHub(taken)


def test_the_readme_s_program_prints_what_is_seen(repository_dir):
    text = (repository_dir / "docs" / "results.md").read_text(encoding="utf-8")
    blocks = [block for block in PYTHON_BLOCK.findall(text) if README_MARKER in block]
    if not blocks:
        pytest.skip(f"README.md has no program with {README_MARKER!r} in it yet.")
    (code,) = blocks
    assert len(code.splitlines()) <= 21
    hub = ResultsHub(parse_endpoint(f"tcp://127.0.0.1:{free_port()}"))
    listening = subprocess.Popen(
        [sys.executable, "-c", code.replace("tcp://127.0.0.1:5557", hub.endpoint.address)],
        stdout=subprocess.PIPE,
        text=True,
    )
    sinks = [start_sink(hub, source_id, 100_000, 0.02) for source_id in (0, 1)]
    try:
        assert listening.stdout is not None
        seen = {listening.stdout.readline() for _ in range(100)}
    finally:
        for process in (listening, *sinks):
            process.kill()
            process.communicate()
        hub.close()
    assert {line.split()[0] for line in seen} == {"0", "1"}
    for line in seen:
        assert re.fullmatch(r"[01] [\d.]+ person 0\.75 \[8\.0, 4\.0, 8\.0, 8\.0\]\n", line)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
