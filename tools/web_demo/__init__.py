"""`maskstream web-demo`: a page to try engines on pictures and clips.

Import `command`.
"""
