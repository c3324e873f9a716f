"""Decoders and encoders of graphics hardware: which work here, and which are quicker.

A driver may be missing, refuse, crash or hang, whatever FFmpeg was built with. So each is tried on
a few frames in a process of its own (``stream.codecs.hardware_trial``), which is killed where it
takes too long, and is used if it takes less time for a frame than one core does. What was measured
is kept in the user's cache. Where no device is there, nothing is started.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from maskstream.engines.runtimes.measured import MeasuredChoice
from maskstream.errors import ConfigError
from maskstream.stream.arguments import AUTO

Kind = Literal["decoder", "encoder"]
Measure = Callable[[Sequence["Candidate"]], Sequence["Trial"]]

KINDS: tuple[Kind, ...] = ("decoder", "encoder")
CPU_DECODER, CPU_ENCODER = "cpu", "libx264"
_HUNG = "no answer within"
_TRIAL_S = 20.0
"""For one candidate, the process's start included."""
_NVIDIA = ("nvidiactl", "dxg")
_RENDER = ("dri/renderD*",)
_DEV = Path("/dev")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that could decode or encode."""

    kind: Kind
    name: str
    """Of a device, as FFmpeg names it, for decoders; of an encoder of FFmpeg."""
    device_files: tuple[str, ...] = ()
    """Patterns under /dev, one of which is there where the hardware is; none for the processor."""

    @property
    def is_playable(self) -> bool:
        """Whether what it makes plays everywhere; HEVC does not, and is made only where asked."""
        return not self.name.startswith("hevc")


CANDIDATES = (
    Candidate("decoder", "cuda", _NVIDIA),
    Candidate("decoder", "vaapi", _RENDER),
    *(
        Candidate("encoder", f"{codec}_{maker}", files)
        for codec in ("h264", "hevc")
        for maker, files in (("nvenc", _NVIDIA), ("qsv", _RENDER), ("vaapi", _RENDER))
    ),
)
CPU: dict[Kind, str] = {"decoder": CPU_DECODER, "encoder": CPU_ENCODER}
"""What does it where nothing else does."""
PROCESSOR = tuple(Candidate(kind, name) for kind, name in CPU.items())


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying a candidate."""

    kind: Kind
    name: str
    frame_ms: float | None
    """Time for a frame of 1280 x 720 pixels; None where it does not work."""
    problem: str = ""
    """Why it does not work."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What decodes or encodes, and why."""

    name: str
    reason: str


def choose(
    kind: Kind, wish: str = AUTO, *, dev: Path = _DEV, measure: Measure | None = None
) -> Choice:
    """Return what decodes or encodes.

    Args:
        kind: Which of the two.
        wish: "auto" for the quickest; else a name, which is tried whatever devices are there.
        dev: Where device files lie; another one only in tests.
        measure: Instead of ``try_codecs``; for tests.

    Raises:
        ConfigError: What is wished for is unknown, or does not work here.
    """
    if wish == CPU[kind]:
        return Choice(wish, "as was asked for")
    named = {one.name: one for one in CANDIDATES if one.kind == kind}
    if wish != AUTO and wish not in named:
        names = ", ".join((CPU[kind], *named))
        raise ConfigError(f"--{kind}: {wish!r} was given; it must be auto or one of {names}.")
    if wish != AUTO:
        # What did not work is tried again: whoever asks for it may just have repaired it.
        (trial,) = _find_trials([named[wish]], measure, retries=True)
        if trial.frame_ms is None:
            raise ConfigError(f"--{kind}: {wish} does not work here ({trial.problem}); use auto.")
        return Choice(wish, "as was asked for")
    there = [one for one in named.values() if one.is_playable and _is_there(one, dev)]
    own = [one for one in PROCESSOR if one.kind == kind]
    return best_of(kind, _find_trials([*own, *there], measure) if there else [])


def best_of(kind: Kind, trials: Iterable[Trial]) -> Choice:
    """Return the quickest that works; the processor where nothing was tried, or on a tie."""
    own = CPU[kind]
    playable = {one.name for one in (*PROCESSOR, *CANDIDATES) if one.is_playable}
    tried = [trial for trial in trials if trial.kind == kind and trial.name in playable]
    times_ms = {trial.name: trial.frame_ms for trial in tried if trial.frame_ms is not None}
    problems = [f"{trial.name}: {trial.problem}" for trial in tried if trial.frame_ms is None]
    if set(times_ms) <= {own}:
        return Choice(own, "; ".join(problems) or "no graphics hardware is here")
    quickest = min(times_ms, key=lambda name: (times_ms[name], name != own))
    listed = ", ".join(f"{name} {taken_ms:.1f} ms" for name, taken_ms in times_ms.items())
    return Choice(quickest, f"the quickest for a frame of 720p: {listed}")


def keep(trials: Iterable[Trial]) -> None:
    """Keep what was measured for the next run. What hung may work then, and is tried again."""
    for trial in trials:
        if not trial.problem.startswith(_HUNG):
            times_ms = {} if trial.frame_ms is None else {"frame": trial.frame_ms}
            _kept(trial).write(asdict(trial), times_ms)


def try_codecs(
    candidates: Sequence[Candidate] = (*PROCESSOR, *CANDIDATES),
    *,
    limit_s: float = _TRIAL_S,
    module: str = "maskstream.stream.codecs.hardware_trial",
) -> list[Trial]:
    """Try candidates for real, one after the other, and return what came of each.

    A process tries them; one that it hangs or dies of is skipped by the next process.

    Args:
        candidates: What to try.
        limit_s: For each.
        module: That is run; another one only in tests.
    """
    left, trials = list(candidates), []
    while left:
        done, problem = _try_in_process(left, limit_s, module)
        trials += done
        left = left[len(done) :]
        if left:
            trials.append(Trial(left[0].kind, left[0].name, None, problem))
            left = left[1:]
    return trials


def _find_trials(
    candidates: Sequence[Candidate], measure: Measure | None, *, retries: bool = False
) -> list[Trial]:
    """Return the trials of ``candidates``, in order; those made before are not repeated.

    Args:
        candidates: What is to be known.
        measure: Instead of ``try_codecs``.
        retries: Whether those that failed are.
    """
    kept = {one: trial for one in candidates if (trial := _read(one)) is not None}
    known = {one: trial for one, trial in kept.items() if trial.frame_ms or not retries}
    missing = [one for one in candidates if one not in known]
    made = (measure or try_codecs)(missing) if missing else []
    keep(made)
    known.update(zip(missing, made, strict=True))
    return [known[one] for one in candidates]


def _try_in_process(
    candidates: Sequence[Candidate], limit_s: float, module: str
) -> tuple[list[Trial], str]:
    """Return the trials that one process made, and what ended it before the last."""
    names = [f"{candidate.kind}:{candidate.name}" for candidate in candidates]
    # Drivers and FFmpeg print what they like; nothing of it is for the user.
    process = subprocess.Popen(
        [sys.executable, "-m", module, *names],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[3],  # the folder that holds the package
    )
    trials: list[Trial] = []
    try:
        while len(trials) < len(candidates):
            line = _line_of(process, limit_s)
            if line is None:
                return trials, f"{_HUNG} {limit_s:g} s"
            if not line:
                return trials, f"its driver ended the process ({process.wait()})"
            trials.append(Trial(**json.loads(line)))
    finally:
        process.kill()
        process.communicate()
    return trials, ""


def _line_of(process: subprocess.Popen[bytes], limit_s: float) -> bytes | None:
    """Return the next line, an empty one at the end, and None where none comes in time."""
    assert process.stdout is not None
    deadline_s = time.monotonic() + limit_s
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline_s - time.monotonic())):
                return None
            part = process.stdout.raw.read(1)  # type: ignore[attr-defined]
            if not part:
                return b""
            line += part
    return line


def _is_there(candidate: Candidate, dev: Path) -> bool:
    return any(next(dev.glob(pattern), None) for pattern in candidate.device_files)


def _kept(one: Candidate | Trial) -> MeasuredChoice:
    """Return where the trial of ``one`` is kept."""
    try:
        driver = Path("/proc/driver/nvidia/version").read_text(encoding="ascii")
    except OSError:
        driver = ""
    facts = {"tried": f"{one.kind} {one.name}", "av": version("av"), "driver": driver}
    return MeasuredChoice("codecs", b"", facts)


def _read(candidate: Candidate) -> Trial | None:
    kept = _kept(candidate).read()
    try:
        return None if kept is None else Trial(**kept)
    except TypeError:
        return None
