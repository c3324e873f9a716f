import pytest

from maskstream.errors import ConfigError
from maskstream.stream.viewers.push.push import check_publish


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://127.0.0.1/live",
        "RTSP://camera.example:8554/a/b",
        "rtmp://127.0.0.1:1935/app/key",
        "udp://239.0.0.1:5000",
        "udp://127.0.0.1:5000?ttl=2",
    ],
)
def test_addresses_that_can_be_sent_to_are_accepted(url):
    check_publish(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("srt://127.0.0.1:9000", "frames cannot be sent there"),
        ("out.mp4", "frames cannot be sent there"),
        ("udp://127.0.0.1", "no host and port to send to; use udp://HOST:PORT"),
        ("udp://127.0.0.1:99999", "no host and port to send to; use udp://HOST:PORT"),
        ("rtsp:///live", "no host and port to send to; use rtsp://HOST/PATH"),
        ("rtsp://127.0.0.1:8554/", "no path to send to; use rtsp://HOST/PATH"),
        ("rtmp://u:${NOT_SET_HERE}@127.0.0.1/app/key", "NOT_SET_HERE is not set"),
    ],
)
def test_addresses_that_cannot_be_sent_to_are_refused_in_words(url, problem):
    with pytest.raises(ConfigError, match=problem):
        check_publish(url)


def test_a_refusal_does_not_show_the_password():
    with pytest.raises(ConfigError, match=r"rtsp://u:\*\*\*@h:1/: no path") as caught:
        check_publish("rtsp://u:hidden@h:1/")
    assert "hidden" not in str(caught.value)
