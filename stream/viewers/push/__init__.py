"""Sending frames to a server: RTSP, RTMP, or MPEG-TS over UDP.

Import `push`.
"""
