"""How YOLACT networks learn: samples with priors, matching, losses, recipe.

Import `recipe`.
"""
