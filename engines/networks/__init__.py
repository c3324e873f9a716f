"""The networks in PyTorch, a room for each family. Needs the extra `train`.

A family has `config` (its named networks), `network` or its parts, `weights` (released files) and
`export`.
"""
