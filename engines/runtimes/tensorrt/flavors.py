"""The two packages that build and run engines: their Python interfaces are the same."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from maskstream.engines.errors import BackendError, UnavailableError


@dataclass(frozen=True, slots=True)
class Flavor:
    """A package that builds engines.

    Attributes:
        name: As ``--flavor`` takes it, and as the extra that installs it is called.
        module: What is imported.
        builds_ahead: Whether it builds for GPUs that are not in this machine.
    """

    name: str
    module: str
    builds_ahead: bool

    def load(self) -> Any:
        """Import it.

        Raises:
            UnavailableError: It is not installed.
        """
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as exc:
            raise UnavailableError(self.why_not() or str(exc)) from exc

    def why_not(self) -> str | None:
        """Return why it cannot be used, in a phrase; None where it can."""
        if find_spec(self.module):
            return None
        return f"{self.module} is not installed: pip install 'maskstream[{self.name}]'"


FLAVORS = {
    flavor.name: flavor
    for flavor in (
        Flavor("tensorrt", "tensorrt", builds_ahead=False),
        Flavor("tensorrt-rtx", "tensorrt_rtx", builds_ahead=True),
    )
}
"""By name; the first that is installed is taken where none is named."""


def get_flavor(name: str | None = None, *, builds_ahead: bool = False) -> Flavor:
    """Return a flavor by its name, or the first that is installed.

    Args:
        builds_ahead: Whether, of those installed, one is needed that does.

    Raises:
        BackendError: There is no such flavor.
        UnavailableError: None is installed.
    """
    if name is not None:
        if name not in FLAVORS:
            raise BackendError(f"--flavor: {name!r} was given; it must be {' or '.join(FLAVORS)}.")
        return FLAVORS[name]
    fitting = [flavor for flavor in FLAVORS.values() if flavor.builds_ahead or not builds_ahead]
    reasons = {flavor.name: flavor.why_not() for flavor in fitting}
    for flavor in fitting:
        if reasons[flavor.name] is None:
            return flavor
    raise UnavailableError("; ".join(str(reason) for reason in reasons.values()))
