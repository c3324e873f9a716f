"""Finding the pictures that a labelling tool names, each in its own way."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.labelled import LabelledPicture

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_ORIENTATION_TAG = 0x0112


class PictureFolder:
    """Pictures below one folder, by the path in it or by their bare name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path:
        """Return the picture that is called ``name``.

        Raises:
            AnnotationError: There is none, or there are several.
        """
        tidy = name.replace("\\", "/")
        if tidy and (self.folder / tidy).is_file():
            return self.folder / tidy
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for path in pictures_in(self.folder):
                self._by_name[path.name].append(path)
        found = self._by_name.get(PurePosixPath(tidy).name, [])
        if len(found) == 1:
            return found[0]
        if found:
            raise AnnotationError(f"{len(found)} pictures below {self.folder} are called {name}")
        raise AnnotationError(f"{name}: no such picture below {self.folder}")


def pictures_in(folder: Path) -> list[Path]:
    """Return every picture below a folder, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def picture_size(path: Path, expected: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return a picture's width and height, from its header.

    Args:
        expected: What its labels say.

    Raises:
        AnnotationError: It cannot be read, or is of another size than expected.
    """
    try:
        with Image.open(path) as opened:
            size = opened.size
            is_turned = opened.getexif().get(_ORIENTATION_TAG, 1) >= 5
    except (OSError, UnidentifiedImageError) as exc:
        raise AnnotationError(f"{path}: no picture that can be read") from exc
    if expected is None or size == expected:
        return size
    reason = ""
    if is_turned and size == expected[::-1]:
        reason = "; its EXIF data turn it, and labels go by its pixels: turn those and label anew"
    raise AnnotationError(
        f"{path}: is {size[0]}x{size[1]}; its labels are for {expected[0]}x{expected[1]}{reason}"
    )


def copy_pictures(pictures: Iterable[LabelledPicture], folder: Path) -> list[Path]:
    """Copy pictures into one folder under their own names; return where each went.

    Raises:
        AnnotationError: Two would have one name, which their labels go by.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken: dict[str, Path] = {}
    targets = []
    for picture in pictures:
        other = taken.setdefault(picture.path.stem, picture.path)
        if other != picture.path:
            raise AnnotationError(
                f"{picture.path}: its labels would have the name of those of {other}; "
                "rename one of the two."
            )
        target = folder / picture.path.name
        if not (target.exists() and target.samefile(picture.path)):
            shutil.copyfile(picture.path, target)
        targets.append(target)
    return targets
