"""From a graph's outputs to instances, one module for each kind of output; `families` chooses.

Import `families`, `crops` and `second_stage`; the decoders are found by the name of the family.
"""
