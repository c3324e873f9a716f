"""`maskstream doctor`: what this machine can do, and why not.

Import `command`; a module for each subject.
"""
