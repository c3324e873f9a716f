"""What a stage and the supervisor say to each other: rare messages, on a pair of their own.

JSON datagrams on a SOCK_SEQPACKET pair. The frames' channels carry no talk, so a full line never
keeps a stage from telling why it fails.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from multiprocessing import reduction
from typing import Any, Literal

from maskstream.stream.errors import PeerGone

Word = Literal[
    "ready", "note", "done", "failed", "cut_off", "joined", "go", "drain", "join", "free", "abandon"
]

_DATAGRAM_BYTES = 1 << 16
_DESCRIPTORS_MAX = 2
_DETAIL_CHARACTERS = 12_000
_TEXT_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class ControlMessage:
    """One thing said.

    From a stage: ``ready`` (with facts), ``note`` (text), and as its last word one of ``done``,
    ``failed`` (text, detail, exit code) and ``cut_off`` (a neighbour is gone). To a stage: ``go``,
    ``drain`` (also from a viewer: end the run), ``join`` (a neighbour was started anew: take these
    channels, and answer ``joined``), ``free`` (these slots), ``abandon`` (who is gone stays away).
    """

    word: Word
    text: str = ""
    """One line for the user."""
    detail: str = ""
    """The traceback; its end is kept where it is too long."""
    exit_code: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Plain values, such as what engine was loaded."""
    descriptors: tuple[int, ...] = ()
    """Of channels. Sent as copies; who receives them owns them."""


class ControlEnd:
    """One end of the pair. Picklable only while a process is being spawned."""

    def __init__(self, sock: socket.socket) -> None:
        """Talk through ``sock``, which this object owns from here on."""
        sock.setblocking(False)
        self._socket = sock

    def fileno(self) -> int:
        """Returns the descriptor to wait on; -1 once closed."""
        return self._socket.fileno()

    def send(self, message: ControlMessage) -> None:
        """Send without waiting; what a dead or deaf peer cannot take is lost."""
        fields = asdict(message)
        del fields["descriptors"]
        fields["text"] = message.text[:_TEXT_CHARACTERS]
        fields["detail"] = message.detail[-_DETAIL_CHARACTERS:]
        try:
            text = json.dumps(fields, ensure_ascii=False).encode()
            if message.descriptors:
                socket.send_fds(self._socket, [text], list(message.descriptors))
            else:
                self._socket.send(text)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            # Nobody listens any more, and the sentinel of the process tells the supervisor more.
            return

    def receive(self) -> ControlMessage | None:
        """Returns the next message, None where there is none now.

        Raises:
            PeerGone: The other end is closed and all that it said is read.
        """
        try:
            datagram, descriptors, _, _ = socket.recv_fds(
                self._socket, _DATAGRAM_BYTES, _DESCRIPTORS_MAX, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except ConnectionResetError as exc:
            raise PeerGone("control: the other process is gone.") from exc
        if not datagram:
            raise PeerGone("control: the other process is gone.")
        return ControlMessage(**json.loads(datagram), descriptors=tuple(descriptors))

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def __getstate__(self) -> Any:
        return reduction.DupFd(self._socket.fileno())

    def __setstate__(self, state: Any) -> None:
        ControlEnd.__init__(self, socket.socket(fileno=state.detach()))


def open_control() -> tuple[ControlEnd, ControlEnd]:
    """Returns the supervisor's end and the stage's end of a new pair."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ControlEnd(ours), ControlEnd(theirs)
