"""How engines are made: labelled pictures, training loops, evaluation.

Each family has a room with its `recipe`; `loop` is shared. Needs the extra `train`.
"""
