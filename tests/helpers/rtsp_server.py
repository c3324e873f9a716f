"""An RTSP server to be tested against: ``python -m tests.helpers.rtsp_server --port 0 ...``.

A process of its own, so that it can be stopped, killed and come back as a camera does. It serves a
moving test picture as H.264 over TCP, interleaved, and prints its port once it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import sys
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

import av
import numpy as np

MTU = 1400
CLOCK_HZ = 90_000
REALM, NONCE = "camera", "0123456789abcdef"
PAYLOAD_TYPE = 96


@dataclass(frozen=True)
class AccessUnit:
    """One encoded picture."""

    is_key: bool
    units: list[bytes]
    """NAL units without start codes."""


def encode(width: int, height: int, fps: int, seconds: int = 2) -> list[AccessUnit]:
    """Returns pictures to be sent in a loop; each second begins with a key picture."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, fps), Fraction(fps)
    codec.gop_size = fps
    codec.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x264-params": f"keyint={fps}:min-keyint={fps}:scenecut=0:sliced-threads=0",
    }
    packets = []
    for number in range(fps * seconds):
        picture = np.full((height, width, 3), 60, np.uint8)
        left = number * width // (fps * seconds)
        picture[height // 4 : height // 2, left : left + width // 8] = (200, 60, 90)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return [AccessUnit(packet.is_keyframe, nal_units(bytes(packet))) for packet in packets]


def nal_units(annex_b: bytes) -> list[bytes]:
    """Returns what lies between start codes."""
    parts = annex_b.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return [part for part in parts if part]


def rtp_packets(unit: AccessUnit, timestamp: int, numbers) -> list[bytes]:
    """Returns one picture as RTP packets (RFC 6184), long units in fragments."""
    payloads: list[bytes] = []
    for nal in unit.units:
        if len(nal) <= MTU:
            payloads.append(nal)
            continue
        pieces = [nal[at : at + MTU] for at in range(1, len(nal), MTU)]
        for index, piece in enumerate(pieces):
            begins, ends = index == 0, index == len(pieces) - 1
            header = bytes(((nal[0] & 0xE0) | 28, begins << 7 | ends << 6 | nal[0] & 0x1F))
            payloads.append(header + piece)
    packets = []
    for index, payload in enumerate(payloads):
        marker = 0x80 if index == len(payloads) - 1 else 0
        number = next(numbers) & 0xFFFF
        head = bytes((0x80, marker | PAYLOAD_TYPE)) + number.to_bytes(2, "big")
        rest = (timestamp & 0xFFFFFFFF).to_bytes(4, "big") + b"\0\0\0\7"
        packets.append(head + rest + payload)
    return packets


class Server:
    """Serves one path to any number of viewers."""

    def __init__(self, options: argparse.Namespace) -> None:
        width, height = map(int, options.size.split("x"))
        self.options = options
        self.pictures = [] if options.silent else encode(width, height, options.fps)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one viewer until it goes."""
        sending = None
        try:
            while self.options.silent:
                await asyncio.sleep(60)
            while request := await self.read_request(reader):
                method, uri, headers = request
                writer.write(self.answer(method, uri, headers))
                if method == "PLAY":
                    sending = asyncio.create_task(self.send(writer))
                if method == "TEARDOWN":
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            if sending is not None:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await sending
            writer.close()

    async def read_request(self, reader: asyncio.StreamReader):
        """Returns method, address and headers; what viewers report in between is passed over."""
        first = await reader.readexactly(1)
        while first == b"$":
            _, *length = await reader.readexactly(3)
            await reader.readexactly(int.from_bytes(bytes(length), "big"))
            first = await reader.readexactly(1)
        lines = (first + await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, uri, _ = lines[0].split(" ", 2)
        pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
        return method, uri, {key.strip().lower(): value.strip() for key, value in pairs}

    def answer(self, method: str, uri: str, headers: dict[str, str]) -> bytes:
        """Returns the reply to one request."""
        sequence = headers.get("cseq", "0")
        if method != "OPTIONS" and not self.is_allowed(method, uri, headers):
            wanted = f'Basic realm="{REALM}"'
            if self.options.auth == "digest":
                wanted = f'Digest realm="{REALM}", nonce="{NONCE}"'
            return reply("401 Unauthorized", sequence, f"WWW-Authenticate: {wanted}\r\n")
        if f"/{self.options.path}" not in uri and method != "OPTIONS":
            return reply("404 Not Found", sequence)
        if method == "OPTIONS":
            return reply("200 OK", sequence, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n")
        if method == "DESCRIBE":
            extra = f"Content-Base: {uri}/\r\nContent-Type: application/sdp\r\n"
            return reply("200 OK", sequence, extra, self.description())
        if method == "SETUP":
            if "TCP" not in headers.get("transport", ""):
                return reply("461 Unsupported Transport", sequence)
            extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1;timeout=60\r\n"
            return reply("200 OK", sequence, extra)
        return reply("200 OK", sequence, "Session: 1\r\n")

    def description(self) -> str:
        """Returns the session as SDP."""
        units = self.pictures[0].units
        sets = [base64.b64encode(nal).decode() for nal in units if nal[0] & 31 in (7, 8)]
        form = f"a=fmtp:{PAYLOAD_TYPE} packetization-mode=1;sprop-parameter-sets={','.join(sets)}"
        lines = [
            "v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0",
            "a=control:*", f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
            f"a=rtpmap:{PAYLOAD_TYPE} {self.options.codec}/{CLOCK_HZ}", form, "a=control:video",
        ]  # fmt: skip
        return "\r\n".join(lines) + "\r\n"

    def is_allowed(self, method: str, uri: str, headers: dict[str, str]) -> bool:
        """Whether the request carries the right user and password."""
        user, password = self.options.user, self.options.password
        if not user:
            return True
        given = headers.get("authorization", "")
        if self.options.auth == "basic":
            return given == "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        one = md5(f"{user}:{REALM}:{password}")
        fields = dict(
            (key.strip(), value.strip('"'))
            for key, _, value in (
                f.partition("=") for f in given.removeprefix("Digest ").split(",")
            )
        )
        two = md5(f"{method}:{fields.get('uri', uri)}")
        return fields.get("response") == md5(f"{one}:{NONCE}:{two}")

    async def send(self, writer: asyncio.StreamWriter) -> None:
        """Send pictures at their rate until the viewer goes."""
        numbers = count(1)
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        for number in count():
            picture = self.pictures[number % len(self.pictures)]
            stamp = number * CLOCK_HZ // self.options.fps
            for packet in rtp_packets(picture, stamp, numbers):
                writer.write(b"$\0" + len(packet).to_bytes(2, "big") + packet)
            await writer.drain()
            await asyncio.sleep(max(0.0, begun_s + (number + 1) / self.options.fps - clock()))


def reply(status: str, sequence: str, extra: str = "", body: str = "") -> bytes:
    """Returns one RTSP response."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{extra}{length}\r\n{body}".encode()


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


async def serve(options: argparse.Namespace) -> None:
    """Serve until killed."""
    server = Server(options)
    listening = await asyncio.start_server(server.talk, "127.0.0.1", options.port)
    sys.stdout.write(f"{listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await listening.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", type=int, default=20)
    parser.add_argument("--path", default="live")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=("basic", "digest"), default="digest")
    parser.add_argument("--codec", default="H264")
    parser.add_argument("--silent", action="store_true")
    asyncio.run(serve(parser.parse_args()))
