"""Who goes first: what is typed, a source's own table, the file's options, the defaults."""

from maskstream.tools.run.faults import Faults
from maskstream.tools.run.request import make_request
from maskstream.tools.run.request_checks import check_request

FILE = """
outputs = ["null:"]
results = ["tcp://127.0.0.1:5557"]
max_frames = 9
source_timeout = 3
[[source]]
uri = "rtsp://127.0.0.1:9/a"
policy = "block"
max_frames = 5
timeout = 2
batch_share = 1
name = "a"
outputs = ["a.mp4", "a.ndjson"]
[[source]]
uri = "rtsp://127.0.0.1:9/b"
rtsp_transport = "udp"
"""


def checked(folder, sources=(), **given):
    path = folder / "p.toml"
    path.write_text(FILE)
    faults = Faults()
    request = make_request(list(sources), given, path)
    result = check_request(request, faults)
    faults.raise_any()
    return request, result.options


def texts(deliveries):
    return tuple(place.text for place in deliveries)


def test_a_sources_own_values_go_before_the_files_options(tmp_path):
    _, options = checked(tmp_path)
    first, second = options.of(0), options.of(1)
    assert (first.name, first.policy, first.max_frames, first.batch_share) == ("a", "block", 5, 1)
    frames = [place for place in first.deliveries if not place.is_results]
    results = [place for place in first.deliveries if place.is_results]
    assert texts(frames) == (str(tmp_path / "a.mp4"),)
    assert texts(results) == ("tcp://127.0.0.1:5557", str(tmp_path / "a.ndjson"))
    assert (first.live.timeout_s, first.live.rtsp_transport) == (2.0, "tcp")
    assert (second.deliveries, second.max_frames) == (None, None)
    assert (second.live.timeout_s, second.live.rtsp_transport) == (3.0, "udp")
    assert texts(options.deliveries) == ("null:", "tcp://127.0.0.1:5557")
    assert (options.max_frames, options.live.timeout_s) == (9, 3.0)


def test_what_is_typed_goes_before_a_sources_own_values(tmp_path):
    request, options = checked(
        tmp_path, outputs=["null:"], max_frames=2, source_timeout=0.5, policy="latest"
    )
    first = options.of(0)
    assert (first.max_frames, first.policy, first.live) == (None, None, None)
    assert first.deliveries is None
    assert texts(options.deliveries) == ("null:", "tcp://127.0.0.1:5557")
    assert (first.name, first.batch_share) == ("a", 1)
    assert (options.max_frames, options.policy, options.live.timeout_s) == (2, "latest", 0.5)
    assert request.where("max_frames") == ""
    assert request.where("results") == f"{tmp_path / 'p.toml'}:3"
    assert request.where("top_k") == ""


def test_a_page_shows_every_source_whatever_its_own_outputs_are(tmp_path):
    _, options = checked(tmp_path, web="127.0.0.1:0")
    assert texts(options.deliveries)[:2] == ("null:", "http://127.0.0.1:0")
    assert texts(options.of(0).deliveries)[:2] == (str(tmp_path / "a.mp4"), "http://127.0.0.1:0")


def test_typed_sources_have_nothing_of_the_files(tmp_path):
    request, options = checked(tmp_path, sources=["synthetic:numbered"])
    assert options.sources == ("synthetic:numbered",)
    assert options.of(0).deliveries is None
    assert options.max_frames == 9
    assert request.where("source", 0, "uri") == ""
