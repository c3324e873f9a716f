"""Files that were damaged anywhere are read or refused; nothing else happens."""

import copy
import json
import random

import pytest

from maskstream.train.errors import AnnotationError
from maskstream.train.formats import FORMATS, ReadOptions
from tests.helpers.made import make_set

JUNK = [None, [], {}, "x", -1, 1e400, True, "", [1, 2], {"a": 1}, 10**9, [[1, 2], [3]]]
CHANGES = 80


def paths_in(value, path=()):
    """The keys to every value of a document."""
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else ()
    for key, inner in enumerate(value) if isinstance(value, list) else entries:
        yield from paths_in(inner, (*path, key))


def damaged_json(text, chance):
    document = json.loads(text)
    *above, last = chance.choice(list(paths_in(document)))
    value = document
    for key in above:
        value = value[key]
    if chance.random() < 0.4:
        del value[last]
    else:
        value[last] = copy.deepcopy(chance.choice(JUNK))
    return json.dumps(document)


def damaged_lines(text, chance):
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    line = lines[at]
    digit = chance.choice("0123456789.,/")
    lines[at] = chance.choice(
        [line[: len(line) // 2], line.replace(digit, "x"), line.replace(digit, "1e9"), f"<{line}"]
    )
    return "\n".join(lines)


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_refused_in_our_words_or_does_no_harm(name, tmp_path):
    chance = random.Random(name)
    source = tmp_path / ("made" if FORMATS[name].is_folder else "made.json")
    FORMATS[name].write(make_set(tmp_path / "pictures", has_crowd=True), source)
    suffixes = {".json", ".txt", ".csv", ".xml", ".yaml"}
    files = [p for p in (source, *sorted(source.rglob("*"))) if p.suffix in suffixes]
    refused = []
    for _ in range(CHANGES):
        path = chance.choice(files)
        text = path.read_text(encoding="utf-8")
        damage = damaged_json if path.suffix == ".json" else damaged_lines
        path.write_text(damage(text, chance), encoding="utf-8")
        try:
            FORMATS["coco"].write(FORMATS[name].read(source, ReadOptions()), tmp_path / "o.json")
        except AnnotationError as exc:
            refused.append(str(exc))
        path.write_text(text, encoding="utf-8")
    assert len(refused) > CHANGES // 5
    assert all(str(tmp_path) in text for text in refused)  # the file is named
