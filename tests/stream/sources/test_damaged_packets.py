"""Damaged files: one packet's fault is that packet's, and what the decoder holds is delivered."""

import subprocess
from contextlib import closing

import av
import pytest

from maskstream.stream.sources.video_file import VideoFile

FRAMES = 40


def record(path, codec, container_format=None):
    """A clip of FRAMES frames; returns the payload of each packet in the file's order."""
    payloads = []
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=25, options={"bf": "0"})
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = 10
        for number in range(FRAMES):
            frame = av.VideoFrame(96, 64, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes((number * 5 + i) % 256 for i in range(plane.buffer_size)))
            frame.pts = number
            for packet in stream.encode(frame.reformat(format=stream.pix_fmt)):
                payloads.append(bytes(packet))
                container.mux(packet)
        for packet in stream.encode():
            payloads.append(bytes(packet))
            container.mux(packet)
    return payloads


def damage(path, payload):
    """Overwrite these bytes in the file with noise."""
    content = path.read_bytes()
    at = content.index(payload)
    noise = bytes((i * 37) % 251 for i in range(len(payload)))
    path.write_bytes(content[:at] + noise + content[at + len(payload) :])


def shown_by_ffmpeg(path):
    """How many frames FFmpeg's own program makes of a file."""
    done = subprocess.run(
        ["ffmpeg", "-v", "quiet", "-i", path, "-fps_mode", "passthrough", "-f", "framecrc", "-"],
        capture_output=True,
        text=True,
        check=False,
    )
    return sum(not line.startswith("#") for line in done.stdout.splitlines())


def read(path):
    with closing(VideoFile(str(path), threads=2)) as file:
        frames = [frame.pts * frame.time_base for frame in file.frames()]
        return frames, file.decode_error_count, file.warnings, file.error


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".mov"])
def test_one_bad_picture_of_a_film_of_pictures_is_counted_and_the_rest_delivered(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    payloads = record(path, "mjpeg")
    damage(path, payloads[20])
    frames, errors, warnings, error = read(path)
    assert (len(frames), errors, error) == (FRAMES - 1, 1, None)
    assert frames == sorted(frames)
    assert float(frames[-1] - frames[0]) == pytest.approx((FRAMES - 1) / 25, abs=0.001)
    assert any("1 damaged frame could not be decoded" in text for text in warnings)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("numbers", [(20,), (15, 16, 17)], ids=["one", "three"])
def test_damage_in_h264_costs_what_it_costs_ffmpeg_and_is_counted(tmp_path, suffix, numbers):
    path = tmp_path / f"clip{suffix}"
    payloads = record(path, "libx264")
    for number in numbers:
        damage(path, payloads[number][4:])  # behind what separates it from the others
    frames, errors, _, error = read(path)
    assert error is None
    assert errors > 0
    assert len(frames) == shown_by_ffmpeg(path)
    assert len(frames) >= FRAMES - 12  # at most to the next keyframe


def test_a_file_that_breaks_off_gives_what_the_decoder_still_holds(tmp_path):
    path = tmp_path / "clip.mkv"
    record(path, "libx264")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])
    frames, _, _, _ = read(path)
    assert len(frames) == shown_by_ffmpeg(path)
