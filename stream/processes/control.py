"""What a stage and the supervisor say to each other: rare messages, on a pair of their own.

JSON datagrams on a SOCK_SEQPACKET pair. The frames' channels carry no talk, so a full line never
keeps a stage from telling why it fails.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from multiprocessing import reduction
from typing import Any, Literal, TypedDict

from maskstream.stream.errors import PeerGone

_DATAGRAM_BYTES = 1 << 16
_DESCRIPTORS_MAX = 2
_DETAIL_CHARACTERS = 12_000
_TEXT_CHARACTERS = 2_000


Port = Literal["input", "output", "shown", "view"]
"""Which ends of a stage a new channel is for."""


class EngineFacts(TypedDict):
    """What an engine runs in."""

    backend: str
    device: str
    precision: str
    reason: str
    batch: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A stage waits for its first frame; infer says what its engine runs in."""

    engine: EngineFacts | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the user to know although the run goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """A stage's last word: it came to its end as it should."""

    captured: int | None = None
    """From a sink: how many frames the feed's end said there were."""

    @property
    def exit_code(self) -> int:
        """Of the process."""
        return 0


@dataclass(frozen=True, slots=True)
class Failed:
    """A stage's last word: it cannot go on."""

    text: str
    """One line for the user."""
    exit_code: int
    detail: str = ""
    """The traceback, where the fault is ours; its end is kept where it is too long."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """A stage's last word: a neighbour is gone."""

    text: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Go:
    """To capture: every stage is ready, let frames flow."""


@dataclass(frozen=True, slots=True)
class Drain:
    """To capture: end the source here. From a viewer: end the run."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """To a stage: a neighbour that is gone stays away."""


@dataclass(frozen=True, slots=True)
class Free:
    """To capture: these slots are free."""

    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """To a stage: a neighbour was restarted; take these ends, and answer `Joined`."""

    port: Port
    lane: int
    generation: int
    descriptors: tuple[int, ...] = ()
    """Sent as copies; who receives them owns them."""


@dataclass(frozen=True, slots=True)
class Joined:
    """From a stage: it has the new ends, and holds these slots of their lane."""

    port: Port
    lane: int
    generation: int
    held: tuple[int, ...]


LastWord = Done | Failed | CutOff
"""What a stage ends with."""
FromStage = Ready | Note | Joined | Drain | LastWord
ToStage = Go | Drain | Abandon | Free | Join
ControlMessage = FromStage | ToStage
_KINDS: dict[str, type[ControlMessage]] = {
    kind.__name__: kind
    for kind in (Ready, Note, Done, Failed, CutOff, Go, Drain, Abandon, Free, Join, Joined)
}


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
        descriptors = fields.pop("descriptors", ())
        for name, most in (("text", _TEXT_CHARACTERS), ("detail", _DETAIL_CHARACTERS)):
            if name in fields:
                fields[name] = fields[name][:most] if name == "text" else fields[name][-most:]
        try:
            text = json.dumps([type(message).__name__, fields], ensure_ascii=False).encode()
            if descriptors:
                socket.send_fds(self._socket, [text], list(descriptors))
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
        name, fields = json.loads(datagram)
        for key, value in fields.items():
            if isinstance(value, list):
                fields[key] = tuple(value)
        if descriptors:
            fields["descriptors"] = tuple(descriptors)
        return _KINDS[name](**fields)

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
