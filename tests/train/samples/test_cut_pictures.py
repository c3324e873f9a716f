"""Pictures that lack their end are found, and whole ones are not."""

import numpy as np
import pytest
from PIL import Image

from maskstream.train.samples.cut_pictures import cut_pictures

NOISE = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp"])
def test_only_a_picture_that_is_cut_is_named(tmp_path, suffix):
    whole, cut, more = (tmp_path / f"{name}.{suffix}" for name in ("whole", "cut", "more"))
    Image.fromarray(NOISE).save(whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    more.write_bytes(whole.read_bytes() + b"written by a camera")
    found = list(cut_pictures([whole, cut, more]))
    assert found == ([] if suffix == "bmp" else [cut])  # a BMP's size stands in its header
