"""Tries the cases that it is told on standard input, one line each, and answers each in a line."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

from tests.fuzz.cases import try_case


def main() -> None:
    """Answer until standard input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            came = try_case(asked["kind"], asked["seed"], asked["number"], Path(asked["folder"]))
            said = {"came": came}
        except BaseException:  # noqa: BLE001 - that is what is looked for
            said = {"wrong": traceback.format_exc()}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
