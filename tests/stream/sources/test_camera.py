"""What the user says of a camera, and finding it again."""

import pytest

from maskstream.errors import ConfigError
from maskstream.stream.sources.camera import CameraAddress, is_camera, lasting_name, parse_camera


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("0", CameraAddress("/dev/video0")),
        ("12?fps=15", CameraAddress("/dev/video12", fps=15)),
        (
            "/dev/video1?size=1280x720&fps=30&format=mjpeg",
            CameraAddress("/dev/video1", (1280, 720), 30, "mjpeg"),
        ),
        ("/dev/v4l/by-id/usb-A_B-index0", CameraAddress("/dev/v4l/by-id/usb-A_B-index0")),
    ],
)
def test_a_camera_is_named_with_what_is_asked_of_it(uri, expected):
    assert is_camera(uri)
    assert parse_camera(uri) == expected


@pytest.mark.parametrize("uri", ["clip.mp4", "rtsp://0/", "/dev/null", "-1", "0.mp4"])
def test_other_sources_are_no_cameras(uri):
    assert not is_camera(uri)


@pytest.mark.parametrize(
    "uri", ["0?size=1280", "0?fps=0", "0?fps=fast", "0?format=gif", "0?rate=5"]
)
def test_an_option_without_sense_is_refused_with_what_would_have_some(uri):
    with pytest.raises(ConfigError, match=r"is not understood; use size=1280x720, fps=30 and"):
        parse_camera(uri)


def test_a_camera_is_found_again_by_the_link_that_names_it(tmp_path):
    links = tmp_path / "by-id"
    links.mkdir()
    for number in (0, 1):
        device = tmp_path / f"video{number}"
        device.touch()
        (links / f"usb-maker-{number}").symlink_to(device)
    device = str(tmp_path / "video1")
    assert lasting_name(device, [links]) == str(links / "usb-maker-1")
    assert lasting_name(device, [tmp_path / "nowhere"]) == device
