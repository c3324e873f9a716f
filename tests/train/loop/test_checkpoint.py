"""Names of checkpoints, and which of them stay."""

from pathlib import Path

import pytest

from maskstream.train.loop.checkpoint import CheckpointName, drop_older, keep_under, parse_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yolact_base_54_800000.pth", CheckpointName("yolact_base", 54, 800_000)),
        (
            "yolact_resnet50_pascal_3_70_interrupt.pth",
            CheckpointName("yolact_resnet50_pascal", 3, 70, is_interrupted=True),
        ),
        ("yolact-light_0_5.pth", CheckpointName("yolact-light", 0, 5)),
        ("resnet101_reducedfc.pth", None),
        ("last.pt", None),
        ("54_800000.pth", None),
    ],
)
def test_a_name_in_yolacts_form_is_read_and_written(name, expected):
    assert parse_name(Path("weights") / name) == expected
    if expected is not None:
        assert str(expected) == name


def test_a_kept_checkpoint_stays_when_the_newest_is_replaced(tmp_path):
    last = tmp_path / "last.pt"
    last.write_text("first")
    kept = keep_under(last, CheckpointName("net", 0, 10))
    (tmp_path / "new").write_text("second")
    (tmp_path / "new").replace(last)
    assert kept == tmp_path / "net_0_10.pth"
    assert kept.read_text() == "first"
    assert keep_under(last, CheckpointName("net", 0, 10)).read_text() == "second"


def test_older_checkpoints_are_dropped_but_those_to_keep(tmp_path):
    names = ("net_0_100.pth", "net_0_150.pth", "net_1_200.pth", "net_1_250.pth", "net_1_300.pth")
    others = ("net_0_50_interrupt.pth", "other_0_50.pth", "mine.pth", "last.pt")
    for name in (*names, *others):
        (tmp_path / name).touch()
    drop_older(tmp_path / "net_1_250.pth", keep_interval=100)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, "net_0_100.pth", "net_1_200.pth", "net_1_250.pth", "net_1_300.pth"}
