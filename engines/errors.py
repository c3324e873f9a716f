"""The errors of the engines folder.

EngineError(ValueError)            an engine, or a request to one, is not usable
+-- EngineFileError(+ OSError)     the file is missing, unreadable or not an engine
+-- BackendError                   the runtime asked for refuses the graph, or the request
|   +-- UnavailableError           it, or the device asked for, is not here
+-- WeightsError                   a weights file does not fit the network
"""

from maskstream.errors import MaskstreamError


class EngineError(MaskstreamError, ValueError):
    """An engine, or a request to one, is not usable; the text says what would be."""


class EngineFileError(EngineError, OSError):
    """An engine file is missing, unreadable, or no engine."""


class BackendError(EngineError):
    """The runtime asked for refuses this graph, or what it was asked to do."""


class UnavailableError(BackendError):
    """The runtime asked for, or the device, is not here; another one may be.

    Its text is a phrase that says why, fit to follow a colon: "no NVIDIA driver is here".
    """


class WeightsError(EngineError):
    """A weights file does not fit the network that it was given to."""
