"""How FCNs learn which pixels of a crop are the object.

Import `recipe`.
"""
