"""What an engine costs on this machine: its model, what comes before and after, the pipeline.

Part of the installed package; the developers' benches in `tools.bench` build on it.
"""
