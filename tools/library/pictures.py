"""An engine on pictures in memory: from an array to its instances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.decoding.crops import RgbPicture
from maskstream.engines.engine import Engine
from maskstream.engines.interface.fit import fitted
from maskstream.engines.limits import TOP_K
from maskstream.errors import ConfigError
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.arguments.checks import class_ids_of
from maskstream.tools.arguments.opening import open_any
from maskstream.tools.library.instances import Instances

BATCH = 4
"""Pictures that go through the network at once."""


def open_engine(engine: str = "person", **options: Any) -> PictureEngine:
    """Return an engine that is ready for pictures.

    Args:
        engine: A name that `maskstream engines` lists, or the path of a file.
        **options: ``backend``, ``device``, ``precision``, ``require_gpu``, ``threads`` and
            ``family``, as of `maskstream run`.

    Raises:
        EngineError: It cannot be opened.
    """
    return PictureEngine(open_any(engine, **{"threads": available_cores(), **options}))


class PictureEngine:
    """An open engine. Close it, or use it in a ``with`` block."""

    def __init__(self, engine: Engine) -> None:
        """Take over ``engine``."""
        self._engine = engine

    @property
    def class_names(self) -> tuple[str, ...]:
        """By class id."""
        return self._engine.manifest.class_names

    def predict(
        self,
        rgb: NDArray[np.uint8],
        *,
        score: float | None = None,
        top_k: int = TOP_K,
        classes: Iterable[str] | None = None,
    ) -> Instances:
        """Return the instances in a picture.

        Args:
            rgb: (height, width, 3) uint8, RGB; OpenCV's pictures need ``[..., ::-1]``.
            score: Least score, 0 to 1; None takes the engine's own.
            top_k: Most instances.
            classes: Names of classes to keep; None keeps all.

        Raises:
            ConfigError: The array is no picture, or a class is unknown.
        """
        return next(self.predict_many([rgb], score=score, top_k=top_k, classes=classes))

    def predict_many(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        *,
        score: float | None = None,
        top_k: int = TOP_K,
        classes: Iterable[str] | None = None,
    ) -> Iterator[Instances]:
        """Yield the instances of each picture, in order; arguments as of `predict`."""
        manifest = self._engine.manifest
        class_ids = (
            None if classes is None else class_ids_of(",".join(classes), manifest.class_names)
        )
        rest = map(_checked, pictures)
        while some := list(islice(rest, BATCH)):
            sizes = [(rgb.shape[1], rgb.shape[0]) for rgb in some]
            found = self._engine.detect(
                np.stack([fitted(rgb, manifest.input_size, manifest.fit) for rgb in some]),
                sizes,
                pictures=[RgbPicture(rgb) for rgb in some],
                score_min=score,
                top_k=top_k,
                class_ids=class_ids,
            )
            for rows, (width, height) in zip(found, sizes, strict=True):
                # The engine's own memory is used again for the next pictures.
                yield Instances(
                    rows.copy(), class_names=manifest.class_names, width=width, height=height
                )

    def close(self) -> None:
        """Give the engine's memory back."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _checked(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture as the engine takes it.

    Raises:
        ConfigError: It is none.
    """
    array = np.asarray(rgb)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ConfigError(
            f"predict: an array {array.shape} of {array.dtype} was given; "
            "(height, width, 3) of uint8, in RGB, is needed."
        )
    return np.ascontiguousarray(array)
