"""Where frames come from: files, cameras, network streams, made-up video. `open` is the way in.

Import `open` for any source, `live_open` and `live_start` for live ones; the rest serves them.
"""
