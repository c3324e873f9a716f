"""What the soak's verdict is made of."""

import pytest

from maskstream.tools.bench.soak import growth_of


def samples_of(sizes_bytes):
    """One sample a second and a hundred frames."""
    return [(100 * place, float(place), size) for place, size in enumerate(sizes_bytes)]


def test_growth_is_that_after_the_warm_up():
    # 100 samples of 100 frames each: the warm-up is the first 30, then quarters of 17.
    sizes = [place * 1000 for place in range(30)] + [30_000] * 35 + [50_000] * 35
    growth = growth_of(samples_of(sizes), 10_000)
    assert growth is not None
    assert (growth.first_bytes, growth.last_bytes, growth.bytes) == (30_000, 50_000, 20_000)


def test_a_leak_shows_as_its_own_rate():
    growth = growth_of(samples_of([1000 * place for place in range(100)]), 10_000)
    assert growth is not None
    assert growth.bytes_per_hour == pytest.approx(3_600_000)  # 1000 bytes a second


def test_flat_memory_is_no_growth_whatever_the_warm_up_took():
    growth = growth_of(samples_of([0] * 30 + [70_000_000] * 70), 10_000)
    assert growth is not None
    assert growth.bytes == 0


def test_too_few_samples_say_nothing():
    assert growth_of(samples_of([1, 2, 3, 4]), 400) is None
    assert growth_of([], 100) is None
