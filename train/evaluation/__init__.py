"""COCO average precision of an engine.

Import `coco_ap`.
"""
