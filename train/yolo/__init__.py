"""How YOLO detectors learn: losses, the AP of boxes, recipe.

Import `recipe`.
"""
