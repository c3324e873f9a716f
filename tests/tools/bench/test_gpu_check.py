"""The check for GPU machines, as far as it goes on one that has none."""

import subprocess
import sys

import pytest
from rich.console import Console

from maskstream.engines.errors import BackendError
from maskstream.engines.runtimes.nvidia import why_no_gpu
from maskstream.tools.bench import gpu_check
from maskstream.tools.bench.gpu_check import Turn, measure, other_share, table
from maskstream.tools.measuring.bench_engine import BatchFigures, EngineFigures, Quartiles


def always(value):
    return Quartiles(value, value, value)


def figures(batch, model_ms, line_fps):
    return BatchFigures(
        batch=batch, pre_ms=always(1), model_ms=always(model_ms), post_ms=always(1),
        line_fps=always(line_fps), line_latency_ms=always(9),
    )  # fmt: skip


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU here")
def test_a_machine_without_a_driver_is_told_at_once(repository_dir):
    done = subprocess.run(
        [sys.executable, "-m", "maskstream.tools.bench.gpu_check"],
        cwd=repository_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"maskstream: gpu_check: {why_no_gpu()}; run it on a machine with an NVIDIA GPU.\n"
    )


def test_the_share_that_is_not_the_network_by_hand():
    # Four frames in 8 ms are 500 frames/s; a line of 400 has the network busy for 4/5 of it.
    assert other_share(figures(4, 8.0, 400)) == pytest.approx(0.2)
    assert other_share(figures(1, 10.0, 120)) == 0.0  # batches overlap


def test_the_table_has_a_row_a_batch_and_says_what_could_not_be_measured():
    measured = EngineFigures(
        engine="person", backend="tensorrt", device="cuda:0", precision="fp16", input_size=416,
        clip="clip.mp4", frame_size=(768, 576),
        batches=(figures(1, 2.0, 300), figures(8, 8.0, 500)),
    )  # fmt: skip
    console = Console(width=200)
    with console.capture() as shown:
        console.print(
            table([Turn("tensorrt", measured, "99 %"), Turn("tensorrt-rtx", None, "not installed")])
        )
    lines = [line for line in shown.get().splitlines() if "tensorrt" in line]
    words = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert words == [
        ["tensorrt fp16 on cuda:0", "1", "2.00", "300", "40 %", "99 %"],
        ["tensorrt fp16 on cuda:0", "8", "8.00", "500", "50 %", "99 %"],
        ["tensorrt-rtx", "", "", "", "", "not installed"],
    ]


def test_what_goes_wrong_in_one_runtime_is_its_row(monkeypatch, tmp_path):
    def fail(*args, **kwargs):
        raise BackendError("no GPU of that kind")

    monkeypatch.setattr(gpu_check, "measure_engine", fail)
    assert measure("tensorrt", tmp_path, [1], 10) == Turn("tensorrt", None, "no GPU of that kind")
