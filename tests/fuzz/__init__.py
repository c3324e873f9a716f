"""Damaged inputs at random: clips, label files and answers of cameras, for as long as one likes.

::

    python -m tests.fuzz --minutes 60
    python -m tests.fuzz --seed 7 --case clip:123     # that one again
"""
