"""The training loop that all families share: steps, schedules, checkpoints, logs, plots.

A family fills a `recipe`; `recipes` finds it by name.
"""
