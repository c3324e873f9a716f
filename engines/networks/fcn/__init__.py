"""FCN8s on VGG16, and a form of it for crops of one size.

Import `network`, `weights` and `fixed_size`.
"""
