"""What a process arranges with the kernel: signals, titles, control messages, locks, limits.

Imported by every room that starts or is a process.
"""
