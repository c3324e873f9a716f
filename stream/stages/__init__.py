"""The stages of the pipeline, each the body of a process: capture, infer, overlay, sink.

Import `stage` to write one, `viewer` for a process that only shows frames.
"""
