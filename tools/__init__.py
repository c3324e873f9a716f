"""What people type: the one command `maskstream` (`cli`) and its subcommands.

A small command is a module here; a larger one has a room. Nothing below `tools` prints.
"""
