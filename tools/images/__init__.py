"""Mask pictures: the command, and what others need to do the same.

Import `masking`; `command` is loaded by the command line and stays light.
"""
