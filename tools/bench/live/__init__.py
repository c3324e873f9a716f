"""Benches and soaks of live runs: made-up cameras, viewers and faults around a real run.

Not in the wheel. `script` has what all of them need.
"""
