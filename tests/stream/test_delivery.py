"""What the text of an output means, and in which words nonsense is refused."""

import pytest

from maskstream.errors import OutputError
from maskstream.stream.delivery import DeliveryKey, parse_delivery


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("null:", "null"),
        ("window:", "window"),
        ("out.mp4", "video"),
        ("a/b.MKV", "video"),
        ("seen.ndjson", "results"),
        ("live/cam.m3u8", "hls"),
        ("http://127.0.0.1:8080", "page"),
        ("HTTP://[::1]:0/", "page"),
        ("rtsp://u:p@host/x", "publish"),
        ("rtmp://host/app/key", "publish"),
        ("udp://127.0.0.1:5000", "publish"),
        ("rtsp-server://127.0.0.1:8554/cam", "rtsp_server"),
        ("12:30.mp4", "video"),
        ("at:noon.mkv", "video"),
    ],
)
def test_the_form_decides_the_kind(text, kind):
    delivery = parse_delivery(text)
    assert (delivery.kind, delivery.text) == (kind, text)


def test_a_folder_is_one_that_is_there(tmp_path):
    assert parse_delivery(str(tmp_path)).kind == "folder"
    assert parse_delivery(f"{tmp_path}/").kind == "folder"
    (tmp_path / "odd.mp4").mkdir()
    assert parse_delivery(str(tmp_path / "odd.mp4")).kind == "folder"
    for text in (f"{tmp_path}/none", f"{tmp_path}/none/"):
        with pytest.raises(OutputError, match=r"make the folder first \(mkdir -p "):
            parse_delivery(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("out.avi", "out.avi: the name ends in '.avi'; use FILE.mp4 or FILE.mkv, an existing"),
        ("window", "window: no folder of that name is there; did you mean window:?"),
        ("windows:", "windows:: did you mean window:?"),
        ("rstp://host/x", "rstp://host/x: did you mean rtsp://?"),
        ("https://h:1", "https://h:1: https is not spoken here; use http://, or put a proxy"),
        ("tcp://h:1", "tcp://h:1: frames cannot go there, but results can: --results."),
        ("rtsp://", "rtsp://: no address follows; use "),
        ("gopher://u:secret@h/", "gopher://u:***@h/: frames cannot go there; use "),
        ("", "'': an empty name for an output; use "),
    ],
)
def test_nonsense_is_refused_with_what_there_is(text, reason):
    with pytest.raises(OutputError) as caught:
        parse_delivery(text)
    assert str(caught.value).startswith(reason)
    assert "secret" not in str(caught.value)


def test_the_address_of_a_page_and_the_shown_text():
    assert parse_delivery("http://127.0.0.1:8080/").address == "127.0.0.1:8080"
    assert parse_delivery("rtsp://u:secret@h/x").shown == "rtsp://u:***@h/x"


def test_what_several_sources_can_share(tmp_path):
    shared = ["null:", "window:", str(tmp_path), "http://127.0.0.1:1", "rtsp-server://h:1/x"]
    alone = ["out.mp4", "a.m3u8", "r.ndjson", "rtsp://h/x", "udp://h:1"]
    assert all(parse_delivery(text).is_shared for text in shared)
    assert not any(parse_delivery(text).is_shared for text in alone)


def test_results_go_to_files_folders_and_endpoints(tmp_path):
    kinds = {
        "r.ndjson": "results",
        "r.json": "results",
        str(tmp_path): "results_folder",
        "tcp://127.0.0.1:5557": "results_endpoint",
        "ipc:///tmp/me/results": "results_endpoint",
    }
    assert {text: parse_delivery(text, "results").kind for text in kinds} == kinds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("out.mp4", "out.mp4: a video's name; results need FILE.ndjson"),
        ("http://h:1", "http://h:1: results cannot go there; use FILE.ndjson"),
        ("null:", "null:: results cannot go there; use "),
        ("", "'': an empty name for results; use "),
    ],
)
def test_results_elsewhere_are_refused(text, reason):
    with pytest.raises(OutputError) as caught:
        parse_delivery(text, "results")
    assert str(caught.value).startswith(reason)


def test_a_file_that_is_a_link_is_written_where_it_leads(tmp_path):
    (tmp_path / "big").mkdir()
    for name, target in (("a.mp4", "big/out.mp4"), ("b.mkv", "big/new.mkv"), ("c.ndjson", "big/r")):
        link = tmp_path / name
        link.symlink_to(target)
        key: DeliveryKey = "results" if name.endswith("ndjson") else "outputs"
        assert parse_delivery(str(link), key).file_of("x") == str(tmp_path / target)
    plain = str(tmp_path / "plain.mp4")
    assert parse_delivery(plain).file_of("x") == plain
