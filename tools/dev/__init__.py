"""What the Makefile runs: the demo's clip, system packages, the Grafana dashboard.

Not in the wheel.
"""
