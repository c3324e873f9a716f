"""Lengths of time and sizes as people write them."""

import pytest

from maskstream.errors import ConfigError
from maskstream.stream.addresses.amounts import parse_bytes, parse_duration_s


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90), ("10m", 600), ("24h", 86_400), ("7d", 604_800), ("1h30m", 5400),
        ("0.5s", 0.5), (" 10m ", 600),
    ],
)  # fmt: skip
def test_a_length_of_time_is_read(text, expected):
    assert parse_duration_s(text) == expected


@pytest.mark.parametrize(
    "text", ["", "10", "m", "10 m", "10x", "-10m", "0s", "0h0m", "1e3s", "inf", "٣s", "10m!"]
)
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(ConfigError) as refused:
        parse_duration_s(text)
    assert str(refused.value) == f"{text!r}: no length of time; write 90s, 10m, 1h30m or 7d."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500MB", 500_000_000), ("50GB", 50_000_000_000), ("1.5GiB", 1_610_612_736),
        ("2 TB", 2_000_000_000_000), ("1kb", 1000),
    ],
)  # fmt: skip
def test_a_size_is_read(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "50", "GB", "50 apples", "-5GB", "0GB", "5G", "1e3MB", "nan"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ConfigError) as refused:
        parse_bytes(text)
    assert str(refused.value) == f"{text!r}: no size; write 500MB, 50GB or 1.5TiB."
