"""Who may watch: digest authentication of RTSP (RFC 2069's form, which every player knows).

A challenge holds for one connection, so an answer that was overheard is good for no other.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

REALM = "maskstream"
_PAIR = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]*))')


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and a password."""

    user: str
    password: str = field(repr=False)


class Challenge:
    """What one connection has to answer."""

    def __init__(self) -> None:
        """Think of something that nobody can know."""
        self._nonce = secrets.token_hex(16)

    @property
    def header(self) -> str:
        """For ``WWW-Authenticate``."""
        return f'Digest realm="{REALM}", nonce="{self._nonce}", algorithm=MD5'

    def is_met(self, wanted: Credentials, method: str, header: str) -> bool:
        """Returns whether an ``Authorization`` header proves that the password is known.

        Args:
            wanted: The user and password.
            method: Of the request.
            header: Its value, empty where there was none.
        """
        kind, _, rest = header.partition(" ")
        given = {key.lower(): quoted or bare for key, quoted, bare in _PAIR.findall(rest)}
        secret = _md5(f"{wanted.user}:{REALM}:{wanted.password}")
        # Players differ in which address they sign, the presentation's or the track's.
        asked = _md5(f"{method}:{given.get('uri', '')}")
        proof = _md5(f"{secret}:{self._nonce}:{asked}")
        is_same = hmac.compare_digest(given.get("response", "").encode(), proof.encode())
        return kind.lower() == "digest" and given.get("username") == wanted.user and is_same


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
