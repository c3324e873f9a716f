"""Texts and tables of labels that are none: one line that names the file."""

import re

import pytest

from maskstream.train.errors import AnnotationError
from maskstream.train.formats.open_images import read_class_names, read_rows
from maskstream.train.formats.text_file import read_text

LATIN = "Größe,1\n".encode("latin-1")


def test_text_is_read_with_and_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "names.txt"
    for start in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(start + "Größe".encode())
        assert read_text(path, "text") == "Größe"


@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_text(path, "a table (CSV) in UTF-8"),
        read_class_names,
        lambda path: list(read_rows(path, ("ImageID",))),
    ],
    ids=["text", "class-names", "rows"],
)
def test_what_is_not_utf_8_is_named_with_the_byte(tmp_path, read):
    path = tmp_path / "table.csv"
    path.write_bytes(b"ImageID,x\n" + LATIN)
    message = f"{path}: is no text in UTF-8 (byte 13); a table (CSV) in UTF-8 is needed."
    with pytest.raises(AnnotationError, match=f"^{re.escape(message)}$"):
        read(path)


def test_a_field_without_end_is_one_line(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('ImageID,x\n"' + "a" * 200_000, encoding="utf-8")
    with pytest.raises(AnnotationError, match=r"is no table \(field larger than field limit"):
        list(read_rows(path, ("ImageID",)))
