"""Darknet's descriptions: what is read, and what is refused and where."""

import pytest

from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.yolov3.cfg import parse_cfg, read_cfg

TEXT = """
# a comment
[net]
width = 64
height=32

[convolutional]   ; another
filters=8
[route]
layers = -1, 3
"""


def test_sections_options_and_comments_are_told_apart():
    cfg = parse_cfg(TEXT, where="x.cfg")
    assert cfg.net.integer("width") == 64
    assert [layer.kind for layer in cfg.layers] == ["convolutional", "route"]
    assert cfg.layers[0].integer("filters") == 8
    assert cfg.layers[0].integer("stride", 1) == 1
    assert cfg.layers[1].integers("layers") == (-1, 3)
    assert cfg.layers[1].where == "x.cfg, line 9"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "x.cfg: holds no section; a Darknet network begins with [net]."),
        ("[yolo]", "x.cfg: begins with [yolo]; a Darknet network begins with [net]."),
        ("width=3", "x.cfg, line 1: is 'width=3'; a [section] or key=value is needed."),
        ("[net]\nwidth", "x.cfg, line 2: is 'width'; a [section] or key=value is needed."),
    ],
)
def test_what_is_no_description_is_refused_with_its_line(text, expected):
    with pytest.raises(WeightsError) as caught:
        parse_cfg(text, where="x.cfg")
    assert str(caught.value) == expected


def test_options_that_are_no_numbers_are_named():
    net = parse_cfg("[net]\nwidth=wide", where="x.cfg").net
    with pytest.raises(WeightsError, match=r"line 1: width of \[net\] is 'wide'; a whole number"):
        net.integer("width")
    with pytest.raises(WeightsError, match=r"height of .* is missing"):
        net.integer("height")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.cfg: cannot be read"):
        read_cfg(tmp_path / "none.cfg")
