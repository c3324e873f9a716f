"""The developers' benches: each part of the pipeline beside its limit or beside another way.

Not in the wheel. Import `command`; `parts` lists what can be measured.
"""
