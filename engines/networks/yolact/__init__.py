"""YOLACT, YOLACT++ and their light form: backbones, pyramid, prototypes, heads, export.

Import `config`, `network`, `weights` and `export`.
"""
