"""``python -m tests.fuzz``: try damaged inputs until the time is over; say what went wrong."""

from __future__ import annotations

import argparse
import json
import random
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz.cases import KINDS, LIMITS_S, REPOSITORY_DIR

WEIGHTS = {"clip": 60, "labels": 25, "camera": 10, "command": 5}
"""How often each kind is tried."""
NO_ANSWER = "no answer"


class Child:
    """A process that tries cases; a new one takes its place when it dies or hangs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._errors = (folder / "stderr.txt").open("w+")
        self._process: subprocess.Popen[str] | None = None

    def ask(self, kind: str, seed: int, number: int) -> tuple[str, str]:
        """Try a case; return ``came`` or ``wrong``, and what is to be said of it."""
        process = self._alive()
        assert process.stdin is not None
        case = {"kind": kind, "seed": seed, "number": number, "folder": str(self._folder / "case")}
        process.stdin.write(json.dumps(case) + "\n")
        process.stdin.flush()
        line = self._line(process, LIMITS_S[kind])
        if line is None:
            self.close()
            return "wrong", f"{NO_ANSWER} within {LIMITS_S[kind]:.0f} s"
        if not line:
            code = process.wait()
            self._process = None
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return "wrong", f"the process ended: {name}; {self._said()[-2000:]}"
        ((word, text),) = json.loads(line).items()
        said = self._said()
        if word == "came" and "Traceback" in said:
            return "wrong", said[-4000:]
        return word, text

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _alive(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.child"],
                cwd=REPOSITORY_DIR,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        return self._process

    @staticmethod
    def _line(process: subprocess.Popen[str], limit_s: float) -> str | None:
        """Return a line of the process, an empty one if it has ended; None if it takes too long."""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
            if not selector.select(limit_s):
                return None
        return process.stdout.readline()  # type: ignore[union-attr]

    def _said(self) -> str:
        """Return what has been written on standard error since the last call."""
        self._errors.seek(0)
        text = self._errors.read()
        self._errors.seek(0)
        self._errors.truncate()
        return text


def fuzz(arguments: argparse.Namespace, folder: Path) -> int:
    """Try cases until the time is over; return how many went wrong."""
    say(f"seed {arguments.seed}")
    rng = random.Random(arguments.seed)
    until_s = time.monotonic() + arguments.minutes * 60
    child, tried, wrong, number = Child(folder), Counter[str](), 0, 0
    known: set[str] = set()
    try:
        while time.monotonic() < until_s:
            number += 1
            kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            if arguments.only and kind not in arguments.only:
                continue
            wrong += not is_right(child, folder, arguments, f"{kind}:{number}", known)
            tried[kind] += 1
    finally:
        child.close()
    say(f"seed {arguments.seed}: {dict(tried)} tried, {wrong} went wrong in {len(known)} ways")
    return wrong


def is_right(
    child: Child, folder: Path, arguments: argparse.Namespace, case: str, known: set[str]
) -> bool:
    """Try one case, tell and keep what went wrong; at length where it is not ``known`` yet."""
    kind, _, number = case.partition(":")
    began_s = time.monotonic()
    word, text = child.ask(kind, arguments.seed, int(number))
    if text.startswith(NO_ANSWER):  # the machine may have been busy: what hangs does so again
        word, text = child.ask(kind, arguments.seed, int(number))
    if word == "wrong":
        place = ([line for line in text.splitlines() if line.startswith("  File")] or [text])[-1]
        told = f"again{place}" if place in known else text
        known.add(place)
        say(f"--seed {arguments.seed} --case {case} went wrong: {told}")
        if arguments.keep:
            kept = Path(arguments.keep) / f"{arguments.seed}-{kind}-{number}"
            shutil.copytree(folder / "case", kept, dirs_exist_ok=True)
    elif arguments.verbose:
        say(f"{case} ({time.monotonic() - began_s:.1f} s): {text}")
    return word == "came"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def parse(words: list[str] | None = None) -> Any:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", action="append", choices=list(KINDS), help="may be repeated")
    parser.add_argument("--case", help="KIND:NUMBER, as it was printed, with its --seed")
    parser.add_argument("--keep", help="a folder for the inputs of what went wrong")
    parser.add_argument("--verbose", action="store_true", help="a line of every case")
    return parser.parse_args(words)


def main() -> None:
    """Leave with 1 if anything went wrong."""
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="maskstream-fuzz-") as name:
        folder = Path(name)
        if arguments.case is None:
            sys.exit(fuzz(arguments, folder) > 0)
        arguments.verbose, child = True, Child(folder)
        try:
            is_fine = is_right(child, folder, arguments, arguments.case, set())
        finally:
            child.close()
        sys.exit(not is_fine)


if __name__ == "__main__":
    main()
