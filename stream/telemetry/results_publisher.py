"""What is seen on ZeroMQ, for other programs: one endpoint for all sources, a message a frame.

Every source has a sink of its own, and only one process can hold an endpoint. So the sinks push
their messages to the supervisor's process, where a thread hands them to whoever listens::

    sink (PUSH) ──┐
    sink (PUSH) ──┴── ResultsHub: thread (PULL -> PUB) ── subscribers

A message has four parts: the topic ``maskstream.results.1/SOURCE/``, the encoding's name, the
message's number, and the document: the frame's line of ``results``, and in the end one with the key
``ended``. Nobody is waited for: where somebody is too slow, messages are lost, which the numbers
show.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
import zmq

from maskstream.errors import ConfigError
from maskstream.stream.arguments import Encoding
from maskstream.stream.network.zmq_socket import Endpoint, PubSocket
from maskstream.stream.recording.results import as_json

RESULTS_VERSION = 1
"""Counts up when a key goes or changes its meaning; new keys may come at any time."""
_UNREAD_MAX = 256
"""Messages kept for whoever does not read: some seconds of one source."""
_POLL_MS = 50
_LAST_WORD_MS = 300
"""How long a sink's last messages may take to leave it."""


def topic_of(source_id: int) -> bytes:
    """Returns the topic of a source's messages, which is the beginning of no other's."""
    return f"maskstream.results.{RESULTS_VERSION}/{source_id}/".encode()


class ResultsHub:
    """The endpoint of a run's results, in the supervisor's process."""

    def __init__(self, endpoint: Endpoint, *, is_public: bool = False) -> None:
        """Take the endpoint.

        Args:
            endpoint: As ``publish.parse_endpoint`` returns it.
            is_public: Whether an address may be taken that other machines can reach.

        Raises:
            ConfigError: The endpoint cannot be had, or others could reach it unasked.
        """
        if not endpoint.is_loopback and not is_public:
            raise ConfigError(
                f"{endpoint.address}: other machines could read the results there; use 127.0.0.1 "
                "or ipc:///PATH."
            )
        self.endpoint = endpoint
        self._out = PubSocket(endpoint, unread_max=_UNREAD_MAX)
        self._context = zmq.Context()
        self._in = self._context.socket(zmq.PULL)
        self._in.setsockopt(zmq.RCVHWM, _UNREAD_MAX)
        self._door = _open_door(self._in)
        self.address = f"ipc:///proc/{os.getpid()}/fd/{self._door}"
        """Where the sinks of this run push to."""
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._forward, name="results", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hand out what has come, and give the endpoint back. After the sinks have ended."""
        self._is_closing.set()
        self._thread.join()
        self._in.close(linger=0)
        self._context.term()
        os.close(self._door)
        self._out.close()

    def _forward(self) -> None:
        while True:
            # Read first: what came before the word to close is still handed out.
            is_last = self._is_closing.is_set()
            while self._in.poll(_POLL_MS):
                self._out.send(self._in.recv_multipart())
            if is_last:
                return


class ResultsPublisher:
    """A sink's end: one source's results to the run's hub."""

    def __init__(self, address: str, *, encoding: Encoding, source_id: int) -> None:
        """Connect.

        Args:
            address: ``ResultsHub.address``.
            encoding: Of the documents.
            source_id: 0-based place of the source among the command's.
        """
        self._encoding = encoding
        self._source_id = source_id
        self._count = 0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, _UNREAD_MAX)
        self._socket.connect(address)

    def write(self, record: dict[str, Any]) -> None:
        """Publish one frame's document, of ``results.frame_record``."""
        self._send(record)

    def close(self, *, complete: bool) -> None:
        """Say that nothing will come any more, and whether the source came to its end."""
        self._send({"source": self._source_id, "ended": True, "complete": complete})
        self._release()

    def abort(self) -> None:
        """Let go without a word: another sink may go on."""
        self._release()

    def _send(self, document: dict[str, Any]) -> None:
        encoding = self._encoding
        packed = as_json(document).encode() if encoding == "json" else msgpack.packb(document)
        number = str(self._count).encode()
        self._count += 1
        with suppress(zmq.Again):
            self._socket.send_multipart(
                [topic_of(self._source_id), encoding.encode(), number, packed], zmq.NOBLOCK
            )

    def _release(self) -> None:
        if not self._socket.closed:
            self._socket.close(linger=_LAST_WORD_MS)
            self._context.term()


def _open_door(listener: zmq.Socket[bytes]) -> int:
    """Returns a descriptor by which this user's processes reach ``listener``, and nobody else.

    The socket's file is removed at once: what is opened by descriptor, under /proc, needs no name,
    and so nothing is left however the run ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="maskstream-"))
    try:
        listener.bind(f"ipc://{folder}/results")
        return os.open(folder / "results", os.O_PATH | os.O_CLOEXEC)
    finally:
        shutil.rmtree(folder)
