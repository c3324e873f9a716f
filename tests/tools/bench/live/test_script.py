"""What live measurements are made of: scripts, spreads, cameras, and the bench's list of parts."""

import os
import signal
import socket
import time

import av
import numpy as np
import pytest

from maskstream.errors import ConfigError
from maskstream.stream.pixels.stamp import read_stamp
from maskstream.tools.bench.live.kills import Kill, KillFigures
from maskstream.tools.bench.live.numbered_camera import NumberedCamera, cameras
from maskstream.tools.bench.live.processes import (
    descendants,
    descriptor_count,
    is_running,
    listening_ports,
)
from maskstream.tools.bench.live.script import Spread, healthy, pause, play, stage_of, until
from maskstream.tools.bench.live.slowed_engine import open_slowed, slowed
from maskstream.tools.bench.live.sources import IsolationFigures, measure_sources
from maskstream.tools.bench.parts import NEED_CLIPS, PARTS, USUAL
from maskstream.tools.measuring.command import _parse_parts, _Parts
from tests.helpers.engines.tiny import tiny_engine_file
from tests.helpers.line import options

ENDLESS = "fake:live=1&frames=1000000&period_ms=10"


def stamp_of(frame):
    return read_stamp(np.asarray(frame.to_ndarray(format="gray"), np.uint8))


def stamps(uri, count):
    """The first stamps of a stream, and the size of its pictures."""
    found, size = [], None
    with av.open(uri, options={"rtsp_transport": "tcp"}, timeout=20) as container:
        for frame in container.decode(video=0):
            size = (frame.width, frame.height)
            found.append(stamp_of(frame))
            if len(found) == count:
                return found, size
    return found, size


def test_a_spread_is_that_of_its_values():
    spread = Spread.of(list(range(101)))
    assert (spread.count, spread.p50, spread.p95, spread.p99, spread.most) == (101, 50, 95, 99, 100)


def test_a_script_acts_on_a_run_and_its_end_is_the_runs():
    seen = []

    def script():
        yield from healthy()
        figures = yield from until(lambda figures: figures.frames.delivered > 20)
        os.kill(stage_of(figures, "overlay").pid, signal.SIGKILL)
        seen.append((yield from until(lambda f: stage_of(f, "overlay").restarts == 1)))
        yield from pause(0.1)

    played = play(options(ENDLESS, restarts=True), script())
    assert (played.result.exit_code, played.is_conserved, len(seen)) == (130, True, 1)


def test_a_run_that_ends_before_its_script_is_no_measurement():
    def script():
        yield from until(lambda figures: False)

    with pytest.raises(RuntimeError, match="the run ended too early"):
        play(options("fake:frames=5"), script())


def test_a_script_that_waits_in_vain_ends_with_what_it_saw():
    def script():
        yield from until(lambda figures: False, limit_s=0.3)

    with pytest.raises(RuntimeError, match=r"nothing came of it in 0 s; .*sink running, source 0"):
        play(options(ENDLESS), script())


def test_a_numbered_camera_counts_keeps_its_port_and_comes_back_in_another_size():
    with cameras(1, size="320x240", fps=20) as (camera,):
        seen, size = stamps(camera.uri, 10)
        numbers = [stamp.frame_number for stamp in seen]
        assert numbers == list(range(numbers[0], numbers[0] + 10))
        assert size == (320, 240)
        assert all(0 < time.monotonic_ns() - stamp.clock_ns < 60e9 for stamp in seen)
        port = camera.port
        camera.kill()
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            pass
        camera.start("400x200")
        assert camera.port == port
        assert stamps(camera.uri, 2)[1] == (400, 200)


def test_a_camera_that_stood_still_skips_what_it_missed():
    with cameras(1, size="320x240", fps=20) as (camera,):
        options = {"rtsp_transport": "tcp"}
        with av.open(camera.uri, options=options, timeout=30) as container:
            frames = container.decode(video=0)
            for _ in range(5):
                next(frames)
            camera.pause()
            time.sleep(1.0)
            camera.resume()
            clocks_s = [stamp_of(next(frames)).clock_ns / 1e9 for _ in range(20)]
    # Twenty more would have come at once if it had made up for the second.
    later = np.diff([clock_s for clock_s in clocks_s if clock_s > clocks_s[0] + 0.9])
    assert len(later) == 0 or np.median(later) > 0.02


def test_a_port_that_is_taken_is_said():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(ConfigError, match=r"camera: port \d+ cannot be had"),
    ):
        NumberedCamera(port=listener.getsockname()[1])


def test_what_processes_hold_is_read():
    with cameras(1, size="320x240", fps=5) as (camera,):
        (pid,) = (p for p in descendants(os.getpid()) if camera.port in listening_ports(p))
        assert is_running(pid)
        assert descriptor_count(pid) > 3
    assert not is_running(pid)
    assert descriptor_count(pid) == 0


def test_a_slowed_engine_takes_its_time_and_finds_the_same():
    engine = open_slowed(slowed(str(tiny_engine_file()), 0.2), threads=1)
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    begun_s = time.monotonic()
    (found,) = engine.detect(frames, [(64, 64)], score_min=1.0, top_k=5, class_ids=None)
    assert time.monotonic() - begun_s >= 0.2
    assert len(found.scores) == 0
    engine.close()


def test_the_other_sources_rate_is_that_over_all_kills_that_spared_it():
    kills = (
        Kill("infer", 0.5, 1.5, 2.5, 0, True),
        Kill("sink[0]", 0.5, 0.5, 1.0, 9, False),
        Kill("sink[1]", 0.5, 0.5, 3.0, 27, False),
    )
    figures = KillFigures(kills, 10.0, 3, 0, 0, 0)
    assert figures.other_rate == pytest.approx(0.9)  # 36 frames in 4 s of 10 a second
    assert figures.load_s == 1.5


def test_the_cost_of_company_is_the_median_loss():
    assert IsolationFigures("cameras", 15, 14, (0.9, 0.96, 1.1)).cost == pytest.approx(0.04)


@pytest.mark.slow
def test_sources_are_measured_both_ways():
    (row,) = measure_sources(str(tiny_engine_file()), frame_count=40, rounds=1, counts=(2,))
    assert (row.source_count, row.frame_count) == (2, 40)
    assert list(row.ratios) == [pytest.approx(row.one_fps / row.each_fps)]
    assert min(row.one_bytes, row.each_bytes) > 0


def test_parts_are_chosen_by_name():
    assert _parse_parts("kills, glass,kills", _Parts()) == ("kills", "glass")
    with pytest.raises(ConfigError, match="no part is called 'glas'; did you mean 'glass'"):
        _parse_parts("glas", _Parts())


def test_what_is_measured_usually_and_what_needs_clips_are_parts():
    assert set(USUAL) <= set(PARTS)
    assert set(PARTS) >= NEED_CLIPS
