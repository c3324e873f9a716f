"""Getting some classes of Open Images V6: its tables, masks and pictures, and no more than those.

What is written is what `train.formats.open_images` reads: the tables with the rows of these classes
alone, a folder of pictures and one of masks.
"""

import csv
import http.client
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from maskstream.engines.files.disk import user_cache_dir
from maskstream.errors import ConfigError, OutputError
from maskstream.tools.arguments.download import TIMEOUT_S, DownloadError, download
from maskstream.train.formats.open_images import BOXES, MASKS, SPLITS, read_class_names, read_rows

TABLE_HOST = "https://storage.googleapis.com"
PICTURE_HOST = "https://s3.amazonaws.com"
CLASS_TABLE = "oidv6-class-descriptions.csv"
CONNECTIONS = 8
"""Pictures that are fetched at once."""
TRIES = 3

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to fetch.

    Attributes:
        class_names: As Open Images shows them; capitals do not matter.
        max_images: Pictures at most; all if None.
        has_boxes: The objects too that have a box and no mask.
    """

    class_names: tuple[str, ...]
    split: str = "train"
    max_images: int | None = None
    has_boxes: bool = False


def fetch_open_images(wanted: Wanted, folder: Path, mirror: str | None, say: Say) -> Path:
    """Return ``folder`` with the classes in it; what is there already is not fetched again.

    Args:
        mirror: Has both hosts' folders; the hosts themselves if None.
        say: Takes a line for each step.

    Raises:
        ConfigError: The split or a class is unknown.
        DownloadError: Something was not had; the same call goes on.
    """
    if wanted.split not in SPLITS:
        raise ConfigError(f"--split: {wanted.split!r}; use one of {', '.join(SPLITS)}.")
    tables = f"{mirror or TABLE_HOST}/openimages"
    cache = user_cache_dir() / "openimages"
    for path in (cache, folder / "images", folder / "masks"):
        _make_folder(path)
    classes = _had(f"{tables}/v6/{CLASS_TABLE}", cache, say)
    labels = _labels_of(wanted.class_names, read_class_names(classes))
    name = f"{wanted.split}-{MASKS}"
    rows = _rows_of(_had(f"{tables}/v5/{name}", cache, say), labels)
    ids = sorted({row["ImageID"] for row in rows})[: wanted.max_images]
    if not ids:
        raise ConfigError(f"{', '.join(wanted.class_names)}: no masks in {wanted.split}.")
    say(f"{len(ids)} pictures of {', '.join(wanted.class_names)}")
    chosen = set(ids)
    rows = [row for row in rows if row["ImageID"] in chosen]
    _fetch_masks([row["MaskPath"] for row in rows], tables, wanted.split, cache, folder, say)
    pictures = f"{mirror or PICTURE_HOST}/open-images-dataset/{wanted.split}"
    had = chosen - _fetch_pictures(ids, pictures, folder / "images", say)
    _write(folder / name, [row for row in rows if row["ImageID"] in had])
    if wanted.has_boxes:
        prefix, version = ("oidv6-", "v6") if wanted.split == "train" else ("", "v5")
        name = f"{prefix}{wanted.split}-{BOXES}"
        boxes = _rows_of(_had(f"{tables}/{version}/{name}", cache, say), labels)
        _write(folder / name, [row for row in boxes if row["ImageID"] in had])
    _write_classes(folder / CLASS_TABLE, labels)
    return folder


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{path}: cannot be made ({exc.strerror}); name another.") from exc


def _had(url: str, cache: Path, say: Say) -> Path:
    """Return a file of the cache, downloaded if it is not there."""
    path = cache / url.rpartition("/")[2]
    if not path.is_file():
        say(url)
        download(url, path)
    return path


def _labels_of(names: Sequence[str], known: dict[str, str]) -> dict[str, str]:
    """Return the class names by label.

    Raises:
        ConfigError: A name is unknown.
    """
    by_name: dict[str, list[str]] = {}
    for label, name in known.items():
        by_name.setdefault(name.casefold(), []).append(label)
    for name in names:
        if name.casefold() not in by_name:
            raise ConfigError(f"--class: Open Images has no class {name!r}; see its web page.")
    return {label: known[label] for name in names for label in by_name[name.casefold()]}


def _rows_of(path: Path, labels: dict[str, str]) -> list[dict[str, str]]:
    rows = read_rows(path, ("ImageID", "LabelName"))
    return [dict(row) for _, row in rows if row["LabelName"] in labels]


def _fetch_masks(
    names: Iterable[str], tables: str, split: str, cache: Path, folder: Path, say: Say
) -> None:
    """Take masks out of the archives that hold them; each is deleted once it was used."""
    absent = sorted(name for name in names if not (folder / "masks" / name).is_file())
    for digit in sorted({name[0] for name in absent}):  # archives go by the ids' first digit
        archive = _had(f"{tables}/v5/{split}-masks/{split}-masks-{digit}.zip", cache, say)
        try:
            with zipfile.ZipFile(archive) as opened:
                inside = {Path(name).name: name for name in opened.namelist()}
                for name in (name for name in absent if name[0] == digit):
                    if name not in inside:
                        raise DownloadError(f"{archive}: {name} is not in it.")
                    _write_whole(folder / "masks" / name, opened.read(inside[name]))
        except zipfile.BadZipFile as exc:
            archive.unlink()
            raise DownloadError(f"{archive}: was no archive ({exc}); try again.") from exc
        archive.unlink()


def _fetch_pictures(ids: Sequence[str], url: str, folder: Path, say: Say) -> set[str]:
    """Fetch pictures side by side; returns those that the server has not.

    Raises:
        DownloadError: The server is not reached, or refuses.
    """

    def fetch(image_id: str) -> bool:
        path = folder / f"{image_id}.jpg"
        return path.is_file() or _fetch_small(f"{url}/{path.name}", path)

    absent = set()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        try:
            for done, (image_id, is_had) in enumerate(
                zip(ids, pool.map(fetch, ids), strict=True), 1
            ):
                if not is_had:
                    absent.add(image_id)
                if done % 100 == 0 or done == len(ids):
                    say(f"{done} of {len(ids)} pictures")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if absent:
        say(f"left out: {len(absent)} pictures that the server does not have any more")
    return absent


def _fetch_small(url: str, path: Path) -> bool:
    """Fetch a file in one go; returns False where there is none.

    Raises:
        DownloadError: The server is not reached, or refuses.
    """
    for last in range(TRIES):
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
                _write_whole(path, answer.read())
                return True
        except urllib.error.HTTPError as exc:
            exc.close()
            if exc.code == http.HTTPStatus.NOT_FOUND:
                return False
            raise DownloadError(f"{url}: the server answered {exc.code} {exc.reason}.") from exc
        except (OSError, http.client.HTTPException) as exc:
            if last == TRIES - 1:
                raise DownloadError(f"{url}: not had ({exc}); the same command goes on.") from exc
    return False


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there only when it is complete."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["ImageID", "LabelName"])
        writer.writeheader()
        writer.writerows(rows)


def _write_classes(path: Path, labels: dict[str, str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("LabelName", "DisplayName"), *labels.items()])
