"""How frames move: capture, infer, overlay and sink as processes around shared slots.

Read in this order: `memory` (what a slot holds and how it changes hands), `stages` (what every
process does), `supervision` (who starts, watches and ends them). This package never imports torch.
"""
