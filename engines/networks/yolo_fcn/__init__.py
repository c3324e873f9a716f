"""A detector, and a mask network for its boxes, as one engine; also the light pair.

Import `config`, `light` and `export`.
"""
