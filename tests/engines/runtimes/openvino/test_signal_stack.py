"""A process that has run both runtimes can be interrupted."""

import subprocess
import sys

from tests.helpers.engines.tiny import tiny_engine_file

CODE = """
import os, signal, sys
import numpy as np
import torch
from maskstream.engines import open_engine
torch.nn.Conv2d(3, 8, 3)(torch.randn(1, 3, 64, 64))
for _ in range(2):
    engine = open_engine(sys.argv[1], backend="openvino", threads=2)
    side = engine.manifest.input_size
    frames = np.zeros((1, side, side, 3), np.uint8)
    engine.detect(frames, [(64, 64)], score_min=0.5, top_k=1, class_ids=None)
    engine.close()
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_an_interrupt_after_both_runtimes_have_worked_is_an_interrupt():
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tiny_engine_file())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n" * 2), done.stderr[-500:]
