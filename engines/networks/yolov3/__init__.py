"""YOLOv3 and other networks that Darknet's cfg files describe, with its weights files.

Import `network`, `darknet` and `weights`.
"""
