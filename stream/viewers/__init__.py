"""Processes that show frames to people and programs and can never hold a run up.

One room each: `window`, `page`, `rtsp` (players connect to us), `push` (we send to a server).
"""
