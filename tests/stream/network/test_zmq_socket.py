"""Figures on ZeroMQ: real sockets, real listeners, files that a killed run leaves."""

import json
import os
import random
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgpack
import pytest
import zmq

from maskstream.errors import ConfigError
from maskstream.stream.network.zmq_socket import parse_endpoint
from maskstream.stream.telemetry.status import Status, build_status, decode_status, encode_status
from maskstream.stream.telemetry.status_publisher import TOPIC, Publisher
from tests.helpers.snapshots import make_snapshot


@pytest.fixture
def endpoint(tmp_path):
    return parse_endpoint(f"ipc://{tmp_path}/own/figures")


@pytest.fixture
def listen():
    """Subscribes to an endpoint; the sockets are closed at the end."""
    context = zmq.Context()
    made = []

    def connect(endpoint) -> zmq.Socket[bytes]:
        subscriber = context.socket(zmq.SUB)
        subscriber.setsockopt(zmq.LINGER, 0)
        subscriber.subscribe(TOPIC)
        subscriber.connect(endpoint.address)
        made.append(subscriber)
        return subscriber

    yield connect
    for subscriber in made:
        subscriber.close()
    context.term()


def first_message(publisher, subscriber, figures):
    """What a listener gets: published again until its subscription has arrived."""
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        publisher.publish(build_status(figures))
        if subscriber.poll(50):
            return subscriber.recv_multipart()
    pytest.fail("nothing came within 10 s")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_listener_gets_the_figures_as_json_that_any_program_reads(endpoint, listen):
    publisher = Publisher(endpoint)
    topic, encoding, payload = first_message(publisher, listen(endpoint), make_snapshot())
    publisher.close()
    document = json.loads(payload)
    assert (topic, encoding) == (b"maskstream.status.1", b"json")
    assert (document["version"], document["pid"]) == (1, os.getpid())
    assert document["figures"]["frames"]["delivered"] == 100
    assert document["figures"]["stages"][1]["name"] == "infer"
    assert document["figures"]["stages"][1]["work_ms"] == {"p50": 4.25, "p95": 5.25, "p99": 6.25}


def test_a_listener_gets_the_same_as_msgpack_over_tcp(listen):
    endpoint = parse_endpoint(f"tcp://localhost:{free_port()}")
    publisher = Publisher(endpoint, encoding="msgpack")
    _, encoding, payload = first_message(publisher, listen(endpoint), make_snapshot())
    publisher.close()
    assert encoding == b"msgpack"
    assert msgpack.unpackb(payload)["figures"]["frames"]["dropped"] == {"stale": 2}
    assert decode_status(payload, "msgpack").figures == make_snapshot()


def test_the_last_words_reach_a_listener(endpoint, listen):
    publisher = Publisher(endpoint)
    subscriber = listen(endpoint)
    first_message(publisher, subscriber, make_snapshot())
    publisher.publish(build_status(make_snapshot(state="ended")))
    publisher.close()
    states = []
    while subscriber.poll(1000):
        states.append(decode_status(subscriber.recv_multipart()[2], "json").figures.state)
    assert states[-1] == "ended"


def test_a_listener_that_never_reads_costs_no_wait_and_no_memory(endpoint, listen):
    publisher = Publisher(endpoint)
    subscriber = listen(endpoint)
    first_message(publisher, subscriber, make_snapshot())
    status = build_status(make_snapshot())
    before = resident_bytes()
    started_s = time.monotonic()
    for _ in range(20_000):  # 55 MB
        publisher.publish(status)
    elapsed_s = time.monotonic() - started_s
    publisher.close()
    assert elapsed_s < 30
    # What ZeroMQ and the kernel hold for a listener does not grow with what it missed.
    assert resident_bytes() - before < 20e6


def test_strangers_keep_no_listener_out_and_cost_no_memory(listen):
    endpoint = parse_endpoint(f"tcp://127.0.0.1:{free_port()}")
    publisher = Publisher(endpoint)
    port = int(endpoint.address.rpartition(":")[2])
    first_message(publisher, listen(endpoint), make_snapshot())
    before = resident_bytes()
    random_bytes = random.Random(1).randbytes
    strangers = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(200)]
    for stranger in strangers[::2]:  # the others say nothing
        with suppress(OSError):
            stranger.sendall(random_bytes(1000) + b"GET / HTTP/1.1\r\n\r\n" * 1000)
    first_message(publisher, listen(endpoint), make_snapshot())
    assert resident_bytes() - before < 20e6
    for stranger in strangers:
        stranger.close()
    publisher.close()


def test_a_listener_that_asks_for_an_endless_topic_is_cut_off():
    endpoint = parse_endpoint(f"tcp://127.0.0.1:{free_port()}")
    publisher = Publisher(endpoint)
    port = int(endpoint.address.rpartition(":")[2])
    # By hand (ZMTP 3.0, RFC 23): a socket of ZeroMQ's own does not survive such a topic.
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"
    asked = b"\x01" + b"a" * 1_000_000
    with socket.create_connection(("127.0.0.1", port), timeout=20) as stranger:
        stranger.sendall(greeting + b"\x04" + bytes([len(ready)]) + ready)
        with suppress(ConnectionError):
            stranger.sendall(b"\x02" + len(asked).to_bytes(8) + asked)
        # Its side of the greeting comes, and then the end; else this waits in vain.
        with suppress(ConnectionResetError):
            while stranger.recv(4096):
                pass
    publisher.publish(build_status(make_snapshot()))
    publisher.close()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_socket_file_and_its_folder_are_the_user_s_alone_and_the_file_goes(endpoint):
    publisher = Publisher(endpoint)
    assert endpoint.path.parent.stat().st_mode & 0o777 == 0o700
    assert endpoint.path.stat().st_mode & 0o077 == 0
    publisher.close()
    assert not endpoint.path.exists()


def test_a_socket_file_that_a_killed_run_left_is_taken_over(endpoint):
    code = (
        "import os, sys; from maskstream.stream.network.zmq_socket import parse_endpoint\n"
        "from maskstream.stream.telemetry.status_publisher import Publisher\n"
        "kept = Publisher(parse_endpoint(sys.argv[1])); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, endpoint.address], check=False)
    assert endpoint.path.is_socket()
    Publisher(endpoint).close()


def test_an_endpoint_that_another_run_serves_is_refused(endpoint):
    first = Publisher(endpoint)
    with pytest.raises(ConfigError, match="another run publishes there"):
        Publisher(endpoint)
    assert endpoint.path.is_socket()
    first.close()


def test_a_port_that_is_taken_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = parse_endpoint(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(ConfigError, match=r"cannot be taken \(Address already in use\)"):
            Publisher(taken)


def test_a_file_in_the_socket_s_place_is_kept(endpoint):
    endpoint.path.parent.mkdir(mode=0o700)
    endpoint.path.write_text("mine")
    with pytest.raises(ConfigError, match="no socket"):
        Publisher(endpoint)
    assert endpoint.path.read_text() == "mine"


def test_a_folder_that_others_can_reach_is_refused(endpoint):
    endpoint.path.parent.mkdir(mode=0o755)
    with pytest.raises(ConfigError, match=r"others can reach .*chmod 700"):
        Publisher(endpoint)


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "192.0.2.1", "[::]"])
def test_an_address_that_others_can_reach_has_to_be_allowed(host):
    with pytest.raises(ConfigError, match="allow it with --telemetry-public"):
        Publisher(parse_endpoint(f"tcp://{host}:5556"))


def test_an_address_that_others_can_reach_is_taken_where_it_is_allowed():
    Publisher(parse_endpoint(f"tcp://0.0.0.0:{free_port()}"), is_public=True).close()


@pytest.mark.parametrize(
    "text",
    [
        "", "5556", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:5556/path", "tcp://:5556", "udp://127.0.0.1:5556", "ipc://relative",
        "ipc:///", "ipc://@abstract", "inproc://x", "tcp://[::1:5556", f"ipc:///{'long' * 30}",
    ],
)  # fmt: skip
def test_what_names_no_endpoint_is_refused(text):
    with pytest.raises(ConfigError, match=r"; use "):
        parse_endpoint(text)


def test_a_password_in_an_endpoint_is_refused_without_being_shown():
    with pytest.raises(ConfigError) as refused:
        parse_endpoint("tcp://user:p%40ss:w@127.0.0.1:5556")
    assert "ss" not in str(refused.value).replace("address", "")


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_a_document_of_another_layout_is_refused(encoding):
    document = {"version": 2, "figures": {}}
    payload = json.dumps(document).encode() if encoding == "json" else msgpack.packb(document)
    with pytest.raises(ConfigError, match="same version of maskstream"):
        decode_status(payload, encoding)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize("payload", [b"", b"\xff\xfe\x00", b"[" * 100_000, b"null"])
def test_garbage_is_refused(payload, encoding):
    with pytest.raises(ConfigError):
        decode_status(payload, encoding)


def test_a_key_of_a_later_program_is_no_hindrance():
    document = json.loads(encode_status(build_status(make_snapshot()), "json"))
    document["figures"]["news"] = document["news"] = 1
    assert decode_status(json.dumps(document).encode(), "json").figures == make_snapshot()


def test_the_schema_describes_the_figures():
    schema = Status.model_json_schema()
    assert schema["properties"]["version"] == {
        "const": 1, "description": "Of this layout.", "title": "Version", "type": "integer",
    }  # fmt: skip
    latency = schema["$defs"]["Snapshot"]["properties"]["latency_ms"]
    assert latency["description"] == "From a frame's capture to its delivery."
