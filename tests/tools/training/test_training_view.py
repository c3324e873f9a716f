"""What a training run says of its steps."""

from maskstream.tools.training.training_view import step_line
from maskstream.train.loop.log import Progress

METRICS = {
    "bbox": {"AP": 0.1, "AP50": 0.25, "AP75": 0.05},
    "crops": {"mean IoU": 0.4, "object IoU": 0.3},
    "hits": {"accuracy": 0.5},
    "loss": {"box": 1.0, "mask": 1.3, "total": 2.3, "score": 0.3},
    "test hits": {"accuracy": 0.45},
    "test loss": {"total": 2.5},
}


def test_a_step_is_told_with_its_losses_and_what_was_measured():
    step = Progress(1, 20, {"box": 1.0, "mask": 0.251}, 1e-3, 1.0, METRICS, skipped=2)
    assert step_line(step) == (
        "iteration 1 of 20, losses box 1.00 mask 0.25, 2 steps skipped, box AP 10.0, AP50 25.0, "
        "crop mean IoU 40.0, object IoU 30.0, accuracy 50.0, validation loss 2.30, "
        "test accuracy 45.0, test loss 2.50"
    )
