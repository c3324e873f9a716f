"""Every mistake in a request at once, so that nobody has to mend them one run at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from maskstream.errors import ConfigError, MaskstreamError


class RequestError(ConfigError):
    """Several mistakes in one request; the text has a line for each."""

    def __init__(self, faults: list[str], exit_code: int) -> None:
        """Take the lines, and what the first of them would have ended with."""
        super().__init__("\n".join(faults))
        self.exit_code = exit_code  # type: ignore[misc]


class Faults:
    """Mistakes found so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: list[str] = []
        self._exit_code = ConfigError.exit_code

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._found)

    def add(self, text: str, exit_code: int = ConfigError.exit_code) -> None:
        """Take one; the same one counts once."""
        if not self._found:
            self._exit_code = exit_code
        if text not in self._found:
            self._found.append(text)

    @contextmanager
    def collecting(self, where: str = "", option: str = "") -> Iterator[None]:
        """Take an error of the body instead of passing it on.

        Args:
            where: ``FILE:LINE`` of what is checked; empty where it was typed.
            option: What is checked; the text begins with it where it was typed, and with its key
                where it stands in a file.
        """
        try:
            yield
        except MaskstreamError as exc:
            text = str(exc)
            if option:
                key = option.removeprefix("--").replace("-", "_") if where else option
                text = f"{key}: {text.removeprefix(f'{option}: ')}"
            code = exc.exit_code
            self.add(f"{where}: {text}" if where else text, code)

    def raise_any(self) -> None:
        """Raise what was found.

        Raises:
            RequestError: Something was.
        """
        if self._found:
            raise RequestError(self._found, self._exit_code)
