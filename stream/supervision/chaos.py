"""Faults made on purpose, to see that a run survives them."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from maskstream.errors import ConfigError
from maskstream.stream.addresses.amounts import parse_duration_s

_ACTION = re.compile(r"(kill|stall)=([a-z_]+(?:\[\d+\])?)(?::([^@]+))?@(.+)")
_NEEDED = "kill=STAGE@TIME, stall=STAGE:LENGTH@TIME and drop=SHARE, with commas between, are needed"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is done to one stage."""

    kind: Literal["kill", "stall"]
    stage: str
    """Its label."""
    at_s: float
    """Since frames flow."""
    length_s: float = 0.0
    """Of a stall."""


@dataclass(frozen=True, slots=True)
class Chaos:
    """All that is to go wrong."""

    faults: tuple[Fault, ...] = ()
    damage_share: float = 0.0
    """Share of the captured frames that are lost as if they could not be decoded."""


def parse_chaos(text: str) -> Chaos:
    """Returns what ``kill=infer@10s,stall=capture:5s@20s,drop=0.02`` asks for.

    Raises:
        ConfigError: It asks for nothing that is known.
    """
    faults, damage_share = [], 0.0
    for word in text.split(","):
        name, _, value = word.strip().partition("=")
        if name == "drop":
            damage_share = _share(value)
        else:
            faults.append(_fault(word.strip()))
    return Chaos(tuple(sorted(faults, key=lambda fault: fault.at_s)), damage_share)


def _share(value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(f"--chaos: drop={value}; a share from 0 to 1 is needed.")
    return share


def _fault(word: str) -> Fault:
    match = _ACTION.fullmatch(word)
    if match is None or (match[1] == "stall") != (match[3] is not None):
        raise ConfigError(f"--chaos: {word!r} was given; {_NEEDED}.")
    length_s = parse_duration_s(match[3]) if match[3] else 0.0
    kind: Literal["kill", "stall"] = "kill" if match[1] == "kill" else "stall"
    return Fault(kind, match[2], parse_duration_s(match[4]), length_s)


def check_stages(chaos: Chaos, labels: Sequence[str]) -> None:
    """Check that every stage that something is done to will be there.

    Raises:
        ConfigError: One will not.
    """
    for fault in chaos.faults:
        if fault.stage not in labels:
            raise ConfigError(
                f"--chaos: this run has no stage {fault.stage!r}; it has {', '.join(labels)}."
            )


class ChaosMonkey:
    """Does what was asked for when its time comes."""

    def __init__(self, chaos: Chaos, tell: Callable[[str], None]) -> None:
        """Do nothing yet.

        Args:
            chaos: What to do.
            tell: Called with a line about each fault.
        """
        self._waiting = list(chaos.faults)
        self._stopped: list[tuple[float, str, int]] = []
        self._tell = tell

    def due_s(self) -> float | None:
        """Returns when there is something to do next, in seconds since frames flow."""
        dues = [fault.at_s for fault in self._waiting[:1]] + [at for at, _, _ in self._stopped]
        return min(dues, default=None)

    def act(self, elapsed_s: float, pid_of: Callable[[str], int | None]) -> None:
        """Do what is due after ``elapsed_s``.

        Args:
            elapsed_s: Since frames flow.
            pid_of: Returns the process that fills a stage now, None where there is none.
        """
        for stopped in [entry for entry in self._stopped if entry[0] <= elapsed_s]:
            self._stopped.remove(stopped)
            _, stage, stopped_pid = stopped
            if pid_of(stage) == stopped_pid:
                os.kill(stopped_pid, signal.SIGCONT)
                self._tell(f"chaos: {stage} goes on")
        while self._waiting and self._waiting[0].at_s <= elapsed_s:
            fault = self._waiting.pop(0)
            pid = pid_of(fault.stage)
            if pid is None:
                self._tell(f"chaos: {fault.stage} does not run; nothing was done to it")
            elif fault.kind == "kill":
                os.kill(pid, signal.SIGKILL)
                self._tell(f"chaos: {fault.stage} was killed")
            else:
                os.kill(pid, signal.SIGSTOP)
                self._stopped.append((elapsed_s + fault.length_s, fault.stage, pid))
                self._tell(f"chaos: {fault.stage} stands still for {fault.length_s:g} s")
