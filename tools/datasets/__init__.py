"""`maskstream data`: annotation files converted, checked, shown, divided and fetched.

Import `command`.
"""
