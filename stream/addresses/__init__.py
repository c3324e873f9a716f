"""Addresses and amounts as people type them: URLs with passwords, HTTP addresses, `10m`, `50GB`.

Anything that shows an address imports `redact`, so that no password is printed.
"""
