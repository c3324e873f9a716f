"""The errors of the engines folder.

EngineError(ValueError)            an engine, or a request to one, is not usable
+-- EngineFileError(+ OSError)     the file is missing, unreadable or not an engine
+-- BackendError                   the runtime asked for is missing or refuses the graph
+-- WeightsError                   a weights file does not fit the network
"""


class EngineError(ValueError):
    """An engine, or a request to one, is not usable; the text says what would be."""


class EngineFileError(EngineError, OSError):
    """An engine file is missing, unreadable, or no engine."""


class BackendError(EngineError):
    """The runtime asked for is not installed, or refuses this graph."""


class WeightsError(EngineError):
    """A weights file does not fit the network that it was given to."""
