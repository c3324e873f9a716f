"""The errors of the train folder.

TrainError(ValueError)       training or evaluation cannot start or go on
+-- AnnotationError          an annotation file is wrong, or does not fit its images
+-- DivergedError            the loss stopped being finite
"""

from maskstream.errors import MaskstreamError


class TrainError(MaskstreamError, ValueError):
    """Training or evaluation cannot start or go on; the text says what is needed."""


class AnnotationError(TrainError):
    """An annotation file is wrong, or does not fit its images."""


class DivergedError(TrainError):
    """The loss was not finite for too many steps in a row."""
