"""How frames move: capture, infer, overlay and sink as processes around shared slots.

Read in this order: ``frame`` (what a slot holds), ``pool`` (where slots lie), ``channel`` (how a
slot changes hands), ``stages`` (what every process does), ``topology`` (who is joined to whom) and
``supervisor`` (who starts, watches and ends them). This package never imports torch.
"""
