"""Pictures that are there twice."""

from maskstream.train.samples.repeats import repeated_pictures


def test_the_same_bytes_are_found_under_any_name(tmp_path):
    for name, content in (("a", "one"), ("b", "two"), ("c", "one"), ("d", "longer")):
        (tmp_path / name).write_text(content)
    paths = [tmp_path / name for name in "abcd"]
    assert list(repeated_pictures(paths)) == [(tmp_path / "a", tmp_path / "c")]
    assert list(repeated_pictures([paths[3], paths[3]])) == [(paths[3], paths[3])]
