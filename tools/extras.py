"""What only some commands need, and what is said where it is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from stream.errors import ConfigError

TRAINING_PACKAGES = frozenset({"torch", "torchvision", "pycocotools", "onnx", "onnxscript"})


@contextmanager
def needs_training_parts(command: str) -> Iterator[None]:
    """Wrap the imports of a command that needs what training needs.

    Raises:
        ConfigError: Something of it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package not in TRAINING_PACKAGES:
            raise
        raise ConfigError(
            f"{command}: the package {package} is not installed; get what training needs: "
            "make setup-all"
        ) from exc
