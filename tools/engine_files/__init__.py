"""Commands on engine files: `engines`, `import`, `export`, `build`, `quantize`, `parity`.

Each command is a module `*_command`; the others are parts of them.
"""
