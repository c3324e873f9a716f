"""`maskstream run` and `maskstream config`: options, pipeline files, checks, messages.

Each command is a module `command` or `*_command`; `run_settings` is the one list of options.
"""
