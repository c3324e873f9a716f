"""A viewer that sends frames on: to an RTSP or RTMP server, or as MPEG-TS over UDP.

The connection lives in the viewer's own process, for what FFmpeg does there may block for good, and
it holds Python's lock while it connects. Whoever watches the viewer's page sees that it has been
busy with one frame for too long, and ends the process. So nothing that is healthy may take that
long: what can be limited, is limited to seconds (``stream.viewers.push.link``).

A receiver that is away is tried again for ever. What is the matter is told once, until it changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import av.error

from maskstream.errors import ConfigError
from maskstream.stream.addresses.redact import resolve, scrubbed, shown
from maskstream.stream.codecs.encoding import EncoderSettings
from maskstream.stream.codecs.low_latency import SentClock
from maskstream.stream.memory.slot import Slot
from maskstream.stream.processes.backoff import Backoff
from maskstream.stream.sources.media import cause_of
from maskstream.stream.sources.trouble import ANSWERS_NO, Trouble, TroubleKind, trouble_of
from maskstream.stream.stages.stage import Stage
from maskstream.stream.stages.viewer import watch
from maskstream.stream.viewers.push.link import FORMATS, UNREAD_S, PublishLink

_WAKE_S = 0.1
_SOON_S = 5.0
"""Longest wait for a receiver that is merely away."""
_HEALTHY_S = 10.0
"""A connection that held for so long starts the waits anew."""
_ERRORS = (av.error.FFmpegError, OSError, ValueError)
_NOT_ACCEPTED: frozenset[TroubleKind] = frozenset(
    ("forbidden", "not_found", "server_error", "no_video", "broken")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSettings:
    """What the viewer is started with."""

    url: str
    """As the user gave it; a password may stand in it, or ``${NAME}`` for one."""
    source_id: int
    encoder: EncoderSettings
    timeout_s: float = 2.0
    """For each answer of an RTSP server while it is connected to; well below what a viewer may be
    busy with one thing. RTMP has no such limit."""


def check_publish(url: str) -> None:
    """Check what can be checked without opening anything.

    Raises:
        ConfigError: It is no address that frames can be sent to, or a variable in it is not set.
    """
    scheme, _, _ = url.partition("://")
    if scheme.lower() not in FORMATS:
        raise ConfigError(
            f"{shown(url)}: frames cannot be sent there; use one of rtsp://HOST/PATH, "
            "rtmp://HOST/APP/NAME and udp://HOST:PORT."
        )
    parts = urlsplit(resolve(url).opened)
    try:
        has_place = bool(parts.hostname) and (parts.port is not None or scheme.lower() != "udp")
    except ValueError:  # a port that is no number, or too large
        has_place = False
    if not has_place:
        wanted = "udp://HOST:PORT" if scheme.lower() == "udp" else f"{scheme}://HOST/PATH"
        raise ConfigError(f"{shown(url)}: no host and port to send to; use {wanted}.")
    if scheme.lower() != "udp" and not parts.path.strip("/"):
        raise ConfigError(f"{shown(url)}: no path to send to; use {scheme}://HOST/PATH.")


def run(stage: Stage, settings: PublishSettings) -> None:
    """Send the newest frames until the source ends: the body of the viewer.

    Raises:
        ConfigError: A variable in the address is not set.
    """
    publisher = _Publisher(stage, settings)
    stage.ready()
    for newest in watch(stage, _WAKE_S):
        slot = newest.get(settings.source_id)
        if slot is not None:
            publisher.take(slot)
    stage.page.begin(stage.page.taken, time.monotonic_ns())
    publisher.close()
    stage.page.rest(time.monotonic_ns())


class _Publisher:
    """Sends frames while the receiver is there, and looks for it while it is not."""

    def __init__(self, stage: Stage, settings: PublishSettings) -> None:
        self._stage = stage
        self._settings = settings
        self._address = resolve(settings.url)
        self._clock = SentClock()
        self._backoff = Backoff()
        self._link: PublishLink | None = None
        self._linked_s = 0.0
        self._begun_s = self._send_s = 0.0
        self._retry_s = 0.0
        self._lost_s: float | None = None
        self._told = ""

    def take(self, slot: Slot) -> None:
        """Send one frame, if there is a connection or it is time to look for one."""
        now_s = time.monotonic()
        if self._link is None and now_s >= self._retry_s:
            self._attempt(self._connect, self._refusal)
        if self._link is not None:
            self._attempt(lambda: self._send(slot), self._loss)

    def close(self) -> None:
        """End the connection."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _attempt(self, act: Callable[[], None], explain: Callable[[Exception], Trouble]) -> None:
        self._begun_s = time.monotonic()
        try:
            act()
        except _ERRORS as exc:
            self._give_up(explain(exc))

    def _connect(self) -> None:
        self._link, self._send_s = self._open(), 0.0
        self._linked_s = time.monotonic()

    def _open(self) -> PublishLink:
        settings = self._settings
        return PublishLink(self._address, settings.encoder, timeout_s=settings.timeout_s)

    def _send(self, slot: Slot) -> None:
        assert self._link is not None
        self._link.send(slot, self._clock.next(slot.header))
        self._send_s = time.monotonic() - self._begun_s
        self._stage.page.count_given()
        if self._lost_s is not None:
            away_s = time.monotonic() - self._lost_s
            self._stage.tell(f"{shown(self._settings.url)}: back after {away_s:.1f} s.")
        self._lost_s, self._told = None, ""

    def _give_up(self, trouble: Trouble) -> None:
        """Close what is broken, and tell of it unless that was said last."""
        now_s = time.monotonic()
        if self._link is not None:
            self.close()
            if now_s - self._linked_s > _HEALTHY_S:
                self._backoff.reset()
        self._lost_s = self._lost_s or now_s
        if trouble.found != self._told:
            self._told = trouble.found
            self._stage.tell(f"{str(trouble).rstrip('.')}; trying again until it is there.")
        refuses = trouble.kind in ANSWERS_NO or trouble.kind in _NOT_ACCEPTED
        wait_s = self._backoff.next_s() if refuses else self._backoff.next_s(_SOON_S)
        self._retry_s = time.monotonic() + wait_s

    def _refusal(self, error: Exception) -> Trouble:
        """Returns in words why there is no connection."""
        url, limit_s = self._settings.url, self._settings.timeout_s
        waited_s = time.monotonic() - self._begun_s
        trouble = trouble_of(error, url, self._address, waited_s=waited_s, timeout_s=limit_s)
        if trouble.kind not in _NOT_ACCEPTED:
            return trouble
        cause = scrubbed(cause_of(error), self._address.secrets).lower()
        return Trouble(
            trouble.kind, url, f"the server does not accept the stream ({cause})",
            "check the path, and that this user may send to it",
        )  # fmt: skip

    def _loss(self, error: Exception) -> Trouble:
        """Returns in words why frames can no longer be sent."""
        # What breaks while FFmpeg writes over RTSP shows with the next frame only.
        blocked_s = max(self._send_s, time.monotonic() - self._begun_s)
        if blocked_s > UNREAD_S / 3:
            found = f"the receiver took nothing for {UNREAD_S:g} s"
            return Trouble("silent", self._settings.url, found)
        cause = scrubbed(cause_of(error), self._address.secrets).lower()
        return Trouble(
            "lost", self._settings.url, f"the receiver is gone, or no longer reads ({cause})"
        )
