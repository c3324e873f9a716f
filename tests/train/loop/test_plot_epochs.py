"""The picture of a run epoch by epoch."""

from maskstream.train.loop.log import Progress
from maskstream.train.loop.plot_epochs import plot_epochs


def step(iteration, metrics=None):
    return Progress(iteration, 4, {"box": 1.0, "mask": 0.5}, 1e-3, float(iteration), metrics)


def figures(loss):
    return {"loss": {"total": loss}, "hits": {"accuracy": 0.5}}


def test_validations_with_and_without_a_test_set_are_drawn(tmp_path):
    both = figures(1.0) | {f"test {kind}": value for kind, value in figures(2.0).items()}
    steps = [step(1), step(2, figures(1.5)), step(3), step(4, both)]
    assert plot_epochs(steps, tmp_path / "epochs.png")
    assert (tmp_path / "epochs.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_measured_losses_is_not_drawn(tmp_path):
    assert not plot_epochs([step(1), step(2, {"segm": {"AP": 0.1}})], tmp_path / "epochs.png")
    assert list(tmp_path.iterdir()) == []
