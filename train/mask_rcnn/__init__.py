"""How Mask R-CNN learns: batches, regions, losses, recipe.

Import `recipe`.
"""
