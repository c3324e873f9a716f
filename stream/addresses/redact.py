"""Addresses with a password in them: read, shown without it, and handed to FFmpeg whole.

A password is known to the one function that opens the address and to nobody else: everything that
is shown, noted or reported goes through ``shown`` (an address) or ``scrubbed`` (any text).

``rtsp://viewer:${CAM_PASS}@camera/stream`` takes it from the environment, so that it stands in no
command line. A password that is typed may hold ``@`` and ``:``, for the host begins after the last
``@``; ``%`` followed by two hexadecimal digits stands for one character, as in any address.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from maskstream.errors import ConfigError

MASK = "***"

_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<authority>[^/?#]*)(?P<rest>.*)", re.I)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_IN_TEXT = re.compile(r"([a-z][a-z0-9+.-]*://)([^\s'\"<>/@:]*):[^\s'\"<>/]*@", re.I)
"""User, password and the last ``@`` before the host's end, anywhere in a text."""
_PARAMETER = re.compile(
    r"([?&;](?:[a-z0-9_-]*(?:pass|pwd|token|secret|auth|sig|key)[a-z0-9_-]*)=)[^&;#\s'\"]+", re.I
)
_SAFE_OUTSIDE = "/:?=&,;.-_~"
_SCRUBBED_MIN_CHARACTERS = 4
"""Shorter secrets are words of any text; they are only taken out of addresses."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address as FFmpeg is to open it. Not to be shown: see ``shown``."""

    opened: str
    """With the password, every character of it that could be mistaken encoded."""
    secrets: tuple[str, ...]
    """What must never be shown, in every spelling that occurs."""

    def __repr__(self) -> str:
        """Returns the address as it may stand in a log or traceback."""
        return f"Address({shown(self.opened)!r})"


def shown(uri: str) -> str:
    """Returns ``uri`` as it may be shown: ``rtsp://user:***@host/path``; others as they are."""
    match = _ADDRESS.fullmatch(uri)
    if match is None:
        return uri
    user_info, at, host = match["authority"].rpartition("@")
    user, colon, _ = user_info.partition(":")
    who = f"{user}{colon}{MASK if colon else ''}{at}"
    return f"{match['scheme']}{who}{host}{_without_parameters(match['rest'])}"


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """Returns ``text`` without the passwords of addresses in it, and without ``secrets``."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SCRUBBED_MIN_CHARACTERS:
            text = text.replace(secret, MASK)
    return _without_parameters(_IN_TEXT.sub(rf"\1\2:{MASK}@", text))


def place_of(uri: str) -> str:
    """Returns host and path of an address, without user, password and parameters."""
    match = _ADDRESS.fullmatch(uri)
    if match is None:
        return uri.partition("?")[0]
    return match["authority"].rpartition("@")[2] + re.split(r"[?#]", match["rest"])[0]


def resolve(uri: str, environment: Mapping[str, str] | None = None) -> Address:
    """Returns the address to open, with ``${NAME}`` taken from the environment.

    Args:
        uri: As the user gave it.
        environment: Variables by name; those of this process, where None.

    Raises:
        ConfigError: A variable is not set; the text names it.
    """
    known = os.environ if environment is None else environment
    match = _ADDRESS.fullmatch(uri)
    if match is None:
        return Address(uri, ())
    user_info, at, host = match["authority"].rpartition("@")
    secrets: set[str] = set()
    user, colon, password = user_info.partition(":")
    if colon:
        # Variables hold the password itself; what is typed is encoded as addresses are.
        plain = _filled(unquote(password), uri, known, secrets, safe=None)
        password = quote(plain, safe="")
        secrets |= {plain, password, quote(plain), user_info.partition(":")[2]}
    user = quote(_filled(unquote(user), uri, known, set(), safe=None), safe="")
    host = _filled(host, uri, known, set(), safe=_SAFE_OUTSIDE)
    rest = _filled(match["rest"], uri, known, secrets, safe=_SAFE_OUTSIDE)
    secrets -= {"", *_VARIABLE.findall(uri)}
    opened = f"{match['scheme']}{user}{colon}{password}{at}{host}{rest}"
    return Address(opened, tuple(sorted(secrets)))


def hide_from_process_list(arguments: Iterable[str]) -> None:
    """Overwrite the passwords in this process's own command line, which any user may list.

    Args:
        arguments: The command's arguments; addresses among them are hidden.
    """
    secrets = [secret for text in arguments for secret in _typed_secrets(text)]
    if not secrets:
        return
    # Fields 48 and 49 of proc(5)'s stat; the name in field 2 may hold blanks and brackets.
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    line = ctypes.string_at(begin, end - begin)
    for secret in secrets:
        line = line.replace(secret.encode(), b"*" * len(secret.encode()))
    ctypes.memmove(begin, line, end - begin)


def _without_parameters(text: str) -> str:
    return _PARAMETER.sub(rf"\1{MASK}", text)


def _filled(
    text: str, uri: str, known: Mapping[str, str], secrets: set[str], *, safe: str | None
) -> str:
    """Returns ``text`` with its variables' values, encoded where ``safe`` is given."""

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if name not in known:
            raise ConfigError(
                f"{shown(uri)}: the environment variable {name} is not set; set it first: "
                f"export {name}=..."
            )
        value = known[name]
        encoded = value if safe is None else quote(value, safe=safe)
        secrets.update((value, encoded))
        return encoded

    return _VARIABLE.sub(value_of, text)


def _typed_secrets(text: str) -> list[str]:
    """Returns the secrets of an address as typed, variables left out."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return []
    password = match["authority"].rpartition("@")[0].partition(":")[2]
    parameters = [found[0].removeprefix(found[1]) for found in _PARAMETER.finditer(match["rest"])]
    return [secret for secret in (password, *parameters) if secret]
