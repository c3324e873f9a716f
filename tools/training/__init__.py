"""`maskstream train`, `tune` and `eval`.

Each command is a module `*_command`; the others are parts of them.
"""
