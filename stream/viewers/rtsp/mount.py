"""One stream that players open by its name, and those who watch it."""

from __future__ import annotations

import base64
import time

from maskstream.stream.viewers.rtsp.auth import Credentials
from maskstream.stream.viewers.rtsp.messages import TRACK
from maskstream.stream.viewers.rtsp.player import Player
from maskstream.stream.viewers.rtsp.rtp_h264 import CLOCK_HZ, PAYLOAD_TYPE, ParameterSets, RtpSender

_REPORT_S = 5.0
_KEY_SPACING_S = 0.5
"""However many players join, keyframes are not forced more often than this."""


class Mount:
    """One stream under one name. Used by the server's loop, but for what says otherwise."""

    def __init__(
        self,
        name: str,
        sets: ParameterSets,
        *,
        frame_rate: float | None,
        credentials: Credentials | None,
    ) -> None:
        """Offer a stream that nobody watches yet.

        Args:
            name: In the address, after host and port.
            sets: That explain the stream's pictures.
            frame_rate: Frames a second, to be told to players; None where it is unknown.
            credentials: Who may watch; None lets everyone.
        """
        self.name = name
        self.credentials = credentials
        self.is_ended = False
        self._sets = sets
        self._frame_rate = frame_rate
        self._rtp = RtpSender(sets)
        self._players: dict[Player, bool] = {}  # whether it has had a picture
        self._wants_key = False
        self._key_s = 0.0
        self._report_s = 0.0

    @property
    def is_watched(self) -> bool:
        """Whether pictures are wanted; for any thread."""
        return bool(self._players)

    def take_key_wish(self) -> bool:
        """Returns whether the next picture has to be a keyframe; for the thread that encodes."""
        now_s = time.monotonic()
        if not self._wants_key or now_s - self._key_s < _KEY_SPACING_S:
            return False
        self._wants_key, self._key_s = False, now_s
        return True

    def join(self, player: Player) -> None:
        """Send ``player`` pictures, from the next keyframe on, which comes soon."""
        self._players[player] = False
        self._wants_key = True

    def leave(self, player: Player) -> None:
        """Send ``player`` nothing more; one that is not there is ignored."""
        self._players.pop(player, None)

    def publish(self, encoded: bytes, pts: int, is_key: bool, wall_ns: int) -> None:
        """Send a picture to everyone who is ready for it. See ``RtpSender.pack``."""
        unit = self._rtp.pack(encoded, pts=pts, is_key=is_key, wall_ns=wall_ns)
        newcomers = []
        for player, has_begun in list(self._players.items()):
            if player.send(unit) and not has_begun:
                self._players[player] = True
                newcomers.append(player)
        now_s = time.monotonic()
        if now_s - self._report_s >= _REPORT_S:
            self._report_s = now_s
            newcomers = [player for player, has_begun in self._players.items() if has_begun]
        if newcomers:
            report = self._rtp.report(time.time_ns())
            for player in newcomers:
                player.send_report(report)

    def end(self) -> None:
        """Tell everyone that the stream is over; the name is free from now on."""
        self.is_ended = True
        goodbye = self._rtp.goodbye()
        for player in list(self._players):
            player.end(goodbye)
        self._players.clear()

    def describe(self, host: str) -> bytes:
        """Returns the stream as SDP (RFC 4566), to be opened at the address ``host``."""
        sps = self._sets.sps
        sets = ",".join(base64.b64encode(unit).decode() for unit in self._sets)
        family = "IP6" if ":" in host else "IP4"
        anywhere = "::" if ":" in host else "0.0.0.0"
        lines = [
            "v=0",
            f"o=- 1 1 IN {family} {host}",
            f"s={self.name}",
            f"c=IN {family} {anywhere}",
            "t=0 0",
            "a=range:npt=now-",
            "a=control:*",
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
            f"a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK_HZ}",
            f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;profile-level-id={sps[1:4].hex()};"
            f"sprop-parameter-sets={sets}",
            *([f"a=framerate:{self._frame_rate:g}"] if self._frame_rate else []),
            f"a=control:{TRACK}",
        ]
        return "\r\n".join([*lines, ""]).encode()
