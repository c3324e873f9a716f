"""A source read by a thread of its own."""

import threading
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from maskstream.stream.memory.counters import StagePage
from maskstream.stream.memory.source_info import DecodedFrame
from maskstream.stream.stages.mailbox import Mailbox


class Numbered:
    """A source of numbered frames that waits at ``pause_at`` until it is let go."""

    def __init__(self, count: int, pause_at: int | None = None) -> None:
        self.count, self.pause_at = count, pause_at
        self.info = SimpleNamespace(kind="file")
        self.go = threading.Event()
        self.given = 0
        self.decode_error_count = 0

    def frames(self):
        for number in range(self.count):
            if number == self.pause_at:
                self.go.wait(10)
            self.given = number + 1
            yield DecodedFrame(number, Fraction(1, 25), 0, 2, 2, lambda planes: None)


def mailbox_of(page: StagePage, source: Any, **others: Any) -> Mailbox:
    return Mailbox(page, source, None, **others)


def never() -> bool:
    return False


@pytest.fixture
def page():
    page = StagePage.create()
    yield page
    page.close()


def test_only_the_newest_is_kept_and_the_others_are_counted(page):
    source = Numbered(6, pause_at=5)
    mailbox = mailbox_of(page, source)
    mailbox.start()
    while source.given < 5:
        pass
    source.go.set()
    taken = []
    while (captured := mailbox.take(never)) is not None:
        taken.append(captured.sequence)
    mailbox.stop()
    assert taken[-1] == 5
    assert page.dropped().get("stale", 0) == 6 - len(taken)


def test_none_is_left_out_where_all_are_to_be_kept(page):
    mailbox = mailbox_of(page, Numbered(20), keeps_all=True)
    mailbox.start()
    taken = []
    while (captured := mailbox.take(never)) is not None:
        taken.append(captured.sequence)
    mailbox.stop()
    assert taken == list(range(20))
    assert page.dropped() == {}


def test_stopping_does_not_wait_for_a_source_that_is_stuck(page):
    source = Numbered(2, pause_at=1)
    mailbox = mailbox_of(page, source, stop_s=0.1)
    mailbox.start()
    assert mailbox.take(never) is not None
    mailbox.stop()
    source.go.set()


def test_waiting_ends_when_the_run_does(page):
    source = Numbered(1, pause_at=0)
    mailbox = mailbox_of(page, source, stop_s=0.1)
    mailbox.start()
    assert mailbox.take(lambda: True) is None
    source.go.set()
    mailbox.stop()
