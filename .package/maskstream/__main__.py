"""`python -m maskstream`: the command, where it is not on the path."""

from maskstream.tools.cli import main

if __name__ == "__main__":
    main()
