"""Taking turns with the clock."""

import time

import cv2
import pytest

from maskstream.tools.measuring.timing import medians_ms, one_opencv_thread


def test_calls_take_turns_and_the_first_turn_is_not_counted():
    turns = []
    first_call = iter([0.2])

    def slow_once():
        turns.append("a")
        time.sleep(next(first_call, 0.0))

    taken_ms = medians_ms({"a": slow_once, "b": lambda: turns.append("b")}, repeats=1)
    assert turns == ["a", "b"] * 2
    assert taken_ms["a"] < 100


def test_the_median_is_that_of_the_call_alone():
    taken_ms = medians_ms({"sleep": lambda: time.sleep(0.02)}, repeats=3)
    assert 20 <= taken_ms["sleep"] < 120


def count_then_fail(seen):
    with one_opencv_thread():
        seen.append(cv2.getNumThreads())
        raise KeyError


def test_opencv_gets_its_threads_back_even_after_an_error():
    before = cv2.getNumThreads()
    seen: list[int] = []
    with pytest.raises(KeyError):
        count_then_fail(seen)
    assert seen == [1]
    assert cv2.getNumThreads() == before
