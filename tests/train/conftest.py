"""Fixtures of the training tests."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Keep torch to one thread: its threads wait for each other by spinning, so on a machine that
    is busy with something else two of them are many times slower than one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
