"""Mask R-CNN: torchvision's network with inference of static shapes, and a light form of it.

Import `config`, `network`, `weights` and `export`.
"""
