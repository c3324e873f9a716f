"""Which files a training reads: named one by one, or found in a folder by their usual names."""

from dataclasses import dataclass
from pathlib import Path

from maskstream.errors import ConfigError

TRAIN_NAME, VAL_NAME, TEST_NAME = "train.json", "val.json", "test.json"
"""As `maskstream data split` writes them."""


@dataclass(frozen=True, slots=True)
class TrainingFiles:
    """What to learn from, what to score on, and what is measured beside that."""

    annotations: list[Path]
    validation: Path | None
    test: Path | None


def find_files(
    annotations: list[Path],
    data: Path | None,
    validation: Path | None,
    test: Path | None,
    *,
    finds_test: bool,
) -> TrainingFiles:
    """Return the files of a training; those that are named stand for those in the folder.

    Args:
        data: A folder with train.json, and perhaps val.json and test.json.
        finds_test: The folder's test.json is for this training: not every family measures one.

    Raises:
        ConfigError: There is nothing to learn from, or it is said twice.
    """
    if data is None:
        if not annotations:
            raise ConfigError("train: nothing to learn from; name annotations, or --data FOLDER.")
        return TrainingFiles(annotations, validation, test)
    if annotations:
        raise ConfigError(f"--data: {data} was given besides annotations; name one of them.")
    if not (data / TRAIN_NAME).is_file():
        raise ConfigError(
            f"--data: {data} holds no {TRAIN_NAME}; `maskstream data convert` and `data split` "
            "make one."
        )
    return TrainingFiles(
        [data / TRAIN_NAME],
        validation or _if_there(data / VAL_NAME),
        test or (_if_there(data / TEST_NAME) if finds_test else None),
    )


def check_there(*paths: Path | None) -> None:
    """Check that the paths that are given lead somewhere.

    Raises:
        ConfigError: One does not.
    """
    for path in paths:
        if path is not None and not path.exists():
            raise ConfigError(f"{path}: no such file or folder.")


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None
