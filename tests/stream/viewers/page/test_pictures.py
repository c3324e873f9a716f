import asyncio

from maskstream.stream.viewers.page.pictures import FPS_MAX, TOTAL_FPS_MAX, Picture, Pictures


def of(number):
    return Picture(captured_ns=number, jpeg=b"%d" % number)


class Line:
    """Stands for the main thread: frames come, and what is wanted is made."""

    def __init__(self, pictures):
        self.pictures = pictures
        self.made = []

    def frame(self, number, now_s, source_id=0):
        self.pictures.note_frame(source_id, number)
        self.look(now_s)

    def look(self, now_s):
        for source_id in self.pictures.wanted(now_s):
            number = self.pictures._lanes[source_id].frame_ns
            self.made.append((source_id, number))
            self.pictures.put(source_id, of(number))


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_nothing_is_made_while_nobody_waits():
    line = Line(Pictures([0, 1]))
    for number in range(1, 100):
        line.frame(number, number / 30)
    assert line.made == []


def test_one_picture_serves_all_who_wait():
    async def scenario():
        pictures = Pictures([0])
        line = Line(pictures)
        waits = [asyncio.create_task(pictures.after(0, None)) for _ in range(20)]
        await settle()
        line.frame(1, 1.0)
        assert {(await wait).jpeg for wait in waits} == {b"1"}
        assert line.made == [(0, 1)]

    asyncio.run(scenario())


def test_who_was_slow_gets_the_newest_and_none_twice():
    async def scenario():
        pictures = Pictures([0])
        line = Line(pictures)
        fast = asyncio.create_task(pictures.after(0, None))
        await settle()
        line.frame(1, 1.0)
        first = await fast
        for number in range(2, 9):
            line.frame(number, number)
        slow = asyncio.create_task(pictures.after(0, first))
        await settle()
        line.look(9.0)
        assert (await slow).jpeg == b"8"
        again = asyncio.create_task(pictures.after(0, await slow))
        await settle()
        line.look(10.0)
        await settle()
        assert not again.done()
        again.cancel()
        assert line.made == [(0, 1), (0, 8)]

    asyncio.run(scenario())


def test_a_lost_sources_last_picture_is_there_for_who_comes_later():
    async def scenario():
        pictures = Pictures([0])
        line = Line(pictures)
        line.frame(7, 1.0)
        first = asyncio.create_task(pictures.after(0, None))
        await settle()
        line.look(60.0)
        assert (await first).jpeg == b"7"
        assert (await pictures.after(0, None)).jpeg == b"7"  # made once
        assert line.made == [(0, 7)]

    asyncio.run(scenario())


def test_an_old_picture_is_not_shown_when_there_is_a_newer_frame():
    async def scenario():
        pictures = Pictures([0])
        line = Line(pictures)
        early = asyncio.create_task(pictures.after(0, None))
        await settle()
        line.frame(1, 1.0)
        await early
        for number in range(2, 300):
            line.frame(number, number / 30)
        late = asyncio.create_task(pictures.after(0, None))
        await settle()
        line.look(11.0)
        assert (await late).jpeg == b"299"

    asyncio.run(scenario())


def test_the_rate_is_bounded_a_source_and_in_all():
    async def count_of(source_count, fps, seconds=10):
        pictures = Pictures(range(source_count))
        line = Line(pictures)
        seen = dict.fromkeys(range(source_count))

        async def look(source_id):
            while True:
                seen[source_id] = await pictures.after(source_id, seen[source_id])

        tasks = [asyncio.create_task(look(source_id)) for source_id in range(source_count)]
        await settle()
        for tick in range(1, fps * seconds + 1):
            for source_id in range(source_count):
                line.frame(tick, 100 + tick / fps, source_id)
            await settle()
        for task in tasks:
            task.cancel()
        return len(line.made) / seconds

    assert asyncio.run(count_of(1, 20)) == 20
    assert FPS_MAX - 1 <= asyncio.run(count_of(1, 60)) <= FPS_MAX + 1
    # Not every second frame of 30, but five of six.
    assert FPS_MAX - 1 <= asyncio.run(count_of(1, 30)) <= FPS_MAX + 1
    assert asyncio.run(count_of(8, 30)) <= TOTAL_FPS_MAX * 1.1


def test_who_leaves_while_waiting_is_not_counted_any_more():
    async def scenario():
        pictures = Pictures([0])
        line = Line(pictures)
        wait = asyncio.create_task(pictures.after(0, None))
        await settle()
        wait.cancel()
        await settle()
        line.frame(1, 1.0)
        assert line.made == []

    asyncio.run(scenario())
