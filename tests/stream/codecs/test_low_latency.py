from fractions import Fraction

import numpy as np
import pytest

from maskstream.stream.codecs.encoding import open_sent_video
from maskstream.stream.codecs.low_latency import SENT_TIME_BASE, SentClock, SentEncoder
from maskstream.stream.memory.frame import FrameHeader, planes_of
from tests.helpers.writers import small_settings


def header(pts, captured_s=0.0, denominator=30):
    return FrameHeader(
        pts=pts, captured_ns=int(captured_s * 1e9), time_base_num=1, time_base_den=denominator
    )


def test_pts_are_the_frames_own_from_zero_on_with_gaps_where_frames_were_left_out():
    clock = SentClock()
    assert [clock.next(header(pts)) for pts in (300, 301, 304)] == [0, 3000, 12_000]


def test_time_goes_on_as_it_passed_where_a_source_began_anew():
    clock = SentClock()
    assert clock.next(header(90, captured_s=10.0)) == 0
    assert clock.next(header(0, captured_s=12.5)) == 225_000
    assert clock.next(header(1, captured_s=12.6)) == 228_000


def test_pts_increase_even_where_no_time_passed():
    clock = SentClock()
    assert [clock.next(header(7)) for _ in range(3)] == [0, 1, 2]


@pytest.fixture
def encoder():
    settings = small_settings(time_base=SENT_TIME_BASE, frame_rate=1000.0, crf=30)
    return SentEncoder(open_sent_video(settings).encode)


PLANES = planes_of(np.full(64 * 72, 100, np.uint8), 64, 48)


def test_each_frame_leaves_the_encoder_as_it_goes_in(encoder):
    for pts in (0, 3000, 6000):
        (packet,) = encoder.encode(PLANES, pts)
        assert packet.pts == packet.dts == pts
        assert packet.time_base == Fraction(1, 90_000)


def test_a_keyframe_comes_first_when_asked_and_after_two_seconds(encoder):
    times = [0, 3000, 6000, 9000, 180_000, 186_000, 189_000]
    keys = [encoder.encode(PLANES, pts, is_key=pts == 6000)[0].is_keyframe for pts in times]
    assert keys == [True, False, True, False, False, True, False]
