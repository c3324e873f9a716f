"""Where boxes will be: a Kalman filter of constant velocity for each side of each box.

The four coordinates of a box (centre x, centre y, width, height) are filtered independently, so
a filter is five numbers and all boxes of a frame take one step together. Time is real: a step
takes the seconds between two frames, so that variable rates, gaps and dropped frames are no
special cases.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ACCELERATION: Final = 1.0
"""Spectral density of the white-noise acceleration, in box heights per second^1.5.

SORT's and DeepSORT's usual h/160 a frame at 30 frames a second is the same number.
"""
POSITION_NOISE: Final = 0.05
"""Standard deviation of a sure detection's edges, in box heights (DeepSORT: h/20)."""
UNSURE_NOISE: Final = 0.1
"""What a detection of score 0 has more, in box heights."""
FIRST_SPEED: Final = 1.5
"""Standard deviation of a new box's velocity, in box heights per second."""
SIZE_DAMPING_S: Final = 0.3
"""Time constant with which a box that is not seen stops to grow or shrink.

Before people disappear behind something their boxes shrink quickly; extrapolated, they would
vanish or turn inside out.
"""
_SIZE_MIN_PX = 1.0


class BoxFilters:
    """One filter for each track, as arrays with a row a track.

    Attributes:
        position: (T, 4) centre x, centre y, width, height in pixels.
        velocity: (T, 4) the same per second.
    """

    def __init__(self) -> None:
        """Start without any track."""
        self.position: Floats = np.zeros((0, 4))
        self.velocity: Floats = np.zeros((0, 4))
        self._var_position: Floats = np.zeros((0, 4))
        self._covariance: Floats = np.zeros((0, 4))
        self._var_velocity: Floats = np.zeros((0, 4))

    def __len__(self) -> int:
        return len(self.position)

    @property
    def boxes_xyxy(self) -> Floats:
        """(T, 4) left, top, right, bottom in pixels."""
        return to_corners(self.position)

    @property
    def deviation(self) -> Floats:
        """(T, 4) standard deviations of the coordinates, in pixels."""
        return np.asarray(np.sqrt(self._var_position))

    def add(self, boxes_xyxy: Floats, scores: Floats) -> None:
        """Append tracks that stand still as far as is known.

        Args:
            boxes_xyxy: (N, 4) in pixels.
            scores: (N,) in [0, 1].
        """
        position = to_centers(boxes_xyxy)
        height = position[:, 3:]
        ones = np.ones_like(position)
        self.position = np.concatenate([self.position, position])
        self.velocity = np.concatenate([self.velocity, np.zeros_like(position)])
        self._var_position = np.concatenate(
            [self._var_position, _measurement_variance(height, scores) * ones]
        )
        self._covariance = np.concatenate([self._covariance, np.zeros_like(position)])
        self._var_velocity = np.concatenate(
            [self._var_velocity, (FIRST_SPEED * height) ** 2 * ones]
        )

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all tracks but those at ``rows``, a (T,) mask."""
        self.position = self.position[rows]
        self.velocity = self.velocity[rows]
        self._var_position = self._var_position[rows]
        self._covariance = self._covariance[rows]
        self._var_velocity = self._var_velocity[rows]

    def predict(self, step_s: float, is_unseen: NDArray[np.bool_]) -> None:
        """Move every track on by ``step_s`` seconds.

        Args:
            step_s: At least 0.
            is_unseen: (T,) whether a track was missed in its last frame; its size is damped.
        """
        if not len(self) or step_s <= 0:
            return
        self.velocity[is_unseen, 2:] *= np.exp(-step_s / SIZE_DAMPING_S)
        self.position += self.velocity * step_s
        np.maximum(self.position[:, 2:], _SIZE_MIN_PX, out=self.position[:, 2:])
        density = (ACCELERATION * self.position[:, 3:]) ** 2
        self._var_position += step_s * (
            2 * self._covariance + step_s * self._var_velocity + density * step_s**2 / 3
        )
        self._covariance += step_s * self._var_velocity + density * (step_s**2 / 2)
        self._var_velocity += density * step_s

    def correct(self, rows: NDArray[np.intp], boxes_xyxy: Floats, scores: Floats) -> None:
        """Take in what was seen of the tracks at ``rows``.

        Args:
            rows: (N,) different rows.
            boxes_xyxy: (N, 4) in pixels.
            scores: (N,) in [0, 1]; a less sure detection moves its track less.
        """
        if not len(rows):
            return
        seen = to_centers(boxes_xyxy)
        variance = self._var_position[rows]
        covariance = self._covariance[rows]
        total = variance + _measurement_variance(seen[:, 3:], scores)
        gain, speed_gain = variance / total, covariance / total
        surprise = seen - self.position[rows]
        self.position[rows] += gain * surprise
        self.velocity[rows] += speed_gain * surprise
        self._var_position[rows] = (1 - gain) * variance
        self._covariance[rows] = (1 - gain) * covariance
        self._var_velocity[rows] -= speed_gain * covariance


def to_centers(boxes_xyxy: Floats) -> Floats:
    """Return (N, 4) centre x, centre y, width, height of (N, 4) corners."""
    size = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return np.concatenate([boxes_xyxy[:, :2] + size / 2, size], axis=1)


def to_corners(centers: Floats) -> Floats:
    """Return (N, 4) corners of (N, 4) centre x, centre y, width, height."""
    half = centers[:, 2:] / 2
    return np.concatenate([centers[:, :2] - half, centers[:, :2] + half], axis=1)


def _measurement_variance(heights: Floats, scores: Floats) -> Floats:
    """Return (N, 1) variances of detections' coordinates from (N, 1) heights and (N,) scores."""
    deviation = (POSITION_NOISE + UNSURE_NOISE * (1 - scores[:, None])) * heights
    return np.asarray(deviation**2)
