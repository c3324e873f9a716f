"""Passwords in addresses: never shown, taken from the environment, handed on whole."""

import subprocess
import sys
from urllib.parse import unquote

import pytest

from maskstream.errors import ConfigError
from maskstream.stream.addresses.redact import MASK, place_of, resolve, scrubbed, shown

PASSWORD = "p@ss%w:rd/?#"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("rtsp://user:secret@host/path", "rtsp://user:***@host/path"),
        ("rtsp://user:se@cr:et@host:554/path", "rtsp://user:***@host:554/path"),
        ("rtsp://user:100%25@host/path", "rtsp://user:***@host/path"),
        ("rtsp://user:${CAM_PASS}@host/path", "rtsp://user:***@host/path"),
        ("rtsp://host/path", "rtsp://host/path"),
        ("rtsp://user@host/path", "rtsp://user@host/path"),
        ("http://h/v.cgi?user=a&pwd=secret&x=1", "http://h/v.cgi?user=a&pwd=***&x=1"),
        ("http://h/v?access_token=secret", "http://h/v?access_token=***"),
        ("clips/a:b@c.mp4", "clips/a:b@c.mp4"),
        ("/dev/video0?size=640x480", "/dev/video0?size=640x480"),
    ],
)
def test_an_address_is_shown_without_its_password(uri, expected):
    assert shown(uri) == expected


def test_a_variable_holds_the_password_itself_whatever_is_in_it():
    address = resolve("rtsp://user:${CAM_PASS}@host/path", {"CAM_PASS": PASSWORD})
    assert address.opened == "rtsp://user:p%40ss%25w%3Ard%2F%3F%23@host/path"
    user_info = address.opened.removeprefix("rtsp://").partition("@")[0]
    assert unquote(user_info.partition(":")[2]) == PASSWORD
    assert PASSWORD not in repr(address)
    assert "p%40ss" not in repr(address)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("se@cr:et", "se@cr:et"), ("100%", "100%"), ("100%25", "100%"), ("p%40ss", "p@ss")],
)
def test_a_typed_password_reaches_the_server_as_it_is_meant(typed, meant):
    opened = resolve(f"rtsp://user:{typed}@host/path", {}).opened
    assert opened.count("@") == 1
    assert unquote(opened.removeprefix("rtsp://user:").partition("@")[0]) == meant


def test_an_unset_variable_is_named():
    with pytest.raises(ConfigError, match=r"^rtsp://u:\*\*\*@h/: the environment variable NO_SUCH"):
        resolve("rtsp://u:${NO_SUCH}@h/", {})


def test_variables_work_in_parameters_and_hosts():
    address = resolve("http://${HOST}/v?token=${TOKEN}", {"HOST": "cam:81", "TOKEN": "a b&c"})
    assert address.opened == "http://cam:81/v?token=a%20b&c"
    assert "a b&c" in address.secrets
    assert "cam:81" not in address.secrets


def test_a_text_is_rid_of_every_spelling_of_a_secret():
    address = resolve("rtsp://user:${P}@host/path", {"P": PASSWORD})
    text = f"Connection refused: '{address.opened}' ({PASSWORD})"
    assert scrubbed(text, address.secrets) == (
        f"Connection refused: 'rtsp://user:{MASK}@host/path' ({MASK})"
    )


def test_a_text_is_rid_of_addresses_passwords_though_nobody_knows_them():
    text = "Errno 5: 'rtsp://u:a:b@c@host/x' and http://h/?token=abc, but not 12:30@noon"
    assert scrubbed(text) == (
        "Errno 5: 'rtsp://u:***@host/x' and http://h/?token=*** but not 12:30@noon"
    )


def test_a_place_names_host_and_path_only():
    assert place_of("rtsp://u:p@host:554/live/1?x=y") == "host:554/live/1"
    assert place_of("/dev/video0?size=640x480") == "/dev/video0"


def test_the_list_of_processes_does_not_show_a_password():
    code = (
        "import sys; from pathlib import Path\n"
        "from maskstream.stream.addresses.redact import hide_from_process_list\n"
        "hide_from_process_list(sys.argv)\n"
        "print(Path('/proc/self/cmdline').read_text().split(chr(0))[3:])"
    )
    arguments = ["rtsp://user:s3cr:et@host/", "--score", "0.5"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(["rtsp://user:*******@host/", "--score", "0.5", ""])
