"""A real run with fakes in it, whose figures are heard and asked for while it goes on."""

import json
import threading
import time
import urllib.request

import pytest
import zmq
from prometheus_client.parser import text_string_to_metric_families

from maskstream.errors import ConfigError
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.stream.telemetry.service import TelemetryOptions, TelemetryService
from maskstream.stream.telemetry.snapshot import Event
from maskstream.stream.telemetry.status import Status, decode_status
from maskstream.stream.telemetry.status_publisher import TOPIC
from tests.helpers.line import options
from tests.helpers.snapshots import make_snapshot


class Listener(threading.Thread):
    """Hears figures, and asks for them over HTTP when it has heard the first of a running run."""

    def __init__(self, endpoint: str, url: str) -> None:
        super().__init__(daemon=True)
        self._endpoint, self._url = endpoint, url
        self.heard: list[Status] = []
        self.pages: dict[str, str] = {}

    def run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
            subscriber.subscribe(TOPIC)
            subscriber.connect(self._endpoint)
            while subscriber.poll(20_000):
                _, encoding, payload = subscriber.recv_multipart()
                status = decode_status(payload, encoding.decode())
                self.heard.append(status)
                if status.figures.state == "ended":
                    return
                if status.figures.frames.delivered and not self.pages:
                    self._ask()

    def _ask(self) -> None:
        for path in ("/metrics", "/status", "/healthz"):
            with urllib.request.urlopen(self._url + path, timeout=20) as answer:
                self.pages[path] = answer.read().decode()


@pytest.mark.usefixtures("nothing_left")
def test_a_run_is_heard_and_asked_while_it_goes_on(tmp_path):
    endpoint = f"ipc://{tmp_path}/own/figures"
    told: list[Event] = []
    telemetry = TelemetryService(
        TelemetryOptions(telemetry=endpoint, http="127.0.0.1:0"), tell=told.append
    )
    assert told[0].text == f"figures at {telemetry.url}/metrics, /status and /healthz"
    listener = Listener(endpoint, str(telemetry.url))
    listener.start()
    asked = options("fake:frames=150&period_ms=20", "fake:frames=150&period_ms=20")
    try:
        result = run_pipeline(asked, on_event=told.append, on_tick=telemetry.show)
    finally:
        telemetry.close()
    listener.join(20)
    assert result.exit_code == 0, result.message
    states = [status.figures.state for status in listener.heard]
    assert states[-1] == "ended"
    assert "running" in states
    assert listener.heard[-1].figures == result.figures
    assert json.loads(listener.pages["/status"])["figures"]["frames"]["captured"] > 0
    sources = {
        sample.labels["source"]
        for family in text_string_to_metric_families(listener.pages["/metrics"])
        for sample in family.samples
        if sample.name == "maskstream_latency_seconds_count"
    }
    assert sources == {"0", "1"}
    assert [event.kind for event in told if event.kind == "warning"] == []


class Outlet:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def publish(self, status) -> None:
        self.states.append(status.figures.state)

    def close(self) -> None:
        """Nothing is held."""


def test_figures_go_out_once_a_second_and_at_each_change_of_state():
    telemetry = TelemetryService(TelemetryOptions(), tell=print)
    publisher = Outlet()
    telemetry._publishers.append(publisher)
    started_s = time.monotonic()
    for state in ("starting", "starting", "running", "running", "ended"):
        telemetry.show(make_snapshot(state=state))
    if time.monotonic() - started_s < 1:  # else the machine was elsewhere
        assert publisher.states == ["starting", "running", "ended"]


@pytest.mark.usefixtures("nothing_left")
def test_where_the_second_outlet_cannot_be_had_the_first_is_given_back(tmp_path):
    endpoint = f"ipc://{tmp_path}/own/figures"
    wanted = TelemetryOptions(telemetry=endpoint, http="192.0.2.1:80")
    with pytest.raises(ConfigError, match="set a token"):
        TelemetryService(wanted, tell=print)
    assert not (tmp_path / "own" / "figures").exists()


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"is_public": True}, "--telemetry-public: nothing is published"),
        ({"token_file": "x"}, "--status-token-file: nothing is served"),
    ],
)
def test_an_option_without_a_use_is_refused(wanted, reason):
    with pytest.raises(ConfigError, match=reason):
        TelemetryOptions(**wanted).check()
