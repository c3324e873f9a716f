"""From annotation files to training samples: reading COCO, scenes, augmentation, crops.

Import `coco` to read a set, `dataset` for samples; the recipes choose what they need.
"""
