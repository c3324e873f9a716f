"""What processes share without copying: the buffer pool, its slots, channels, and counters.

Import `frame` for what travels, `pool` and `slot` for where it lies, `channel` for how it changes
hands.
"""
