"""Names and limits of engines that commands, files of options and the library share.

Standard library only, so that a command's help need not load NumPy.
"""

from typing import Literal

Precision = Literal["fp32", "fp16", "bf16", "int8"]
"""What a runtime computes in."""

MAX_BATCH = 64
"""Most frames that go through a network at once."""
TOP_K = 15
"""Instances of a frame that are kept, unless asked otherwise."""
MAX_TOP_K = 100
MAX_CROPS = 128
"""Boxes of a batch that a second graph masks, unless asked otherwise: eight frames full of them."""
