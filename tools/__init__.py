"""What people type: one command a file, behind the one command `maskstream`."""
