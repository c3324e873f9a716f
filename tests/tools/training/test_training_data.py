"""Which files a training reads."""

import pytest

from maskstream.errors import ConfigError
from maskstream.tools.training.training_data import TrainingFiles, find_files


@pytest.fixture
def folder(tmp_path):
    for name in ("train.json", "val.json"):
        (tmp_path / name).write_text("{}")
    return tmp_path


def test_a_folder_gives_what_it_holds(folder):
    found = find_files([], folder, None, None, finds_test=True)
    assert found == TrainingFiles([folder / "train.json"], folder / "val.json", None)


def test_what_is_named_stands_for_what_the_folder_holds(folder):
    other = folder / "other.json"
    found = find_files([], folder, other, other, finds_test=True)
    assert found == TrainingFiles([folder / "train.json"], other, other)


def test_annotations_alone_are_taken_as_they_are(folder):
    named = folder / "x.json"
    assert find_files([named], None, None, None, finds_test=True) == TrainingFiles(
        [named], None, None
    )


@pytest.mark.parametrize(
    ("has_annotations", "has_data", "found"),
    [
        pytest.param(False, False, "nothing to learn from", id="neither"),
        pytest.param(True, True, "name one of them", id="both"),
    ],
)
def test_one_of_the_two_is_needed(folder, has_annotations, has_data, found):
    annotations = [folder / "x.json"] if has_annotations else []
    with pytest.raises(ConfigError, match=found):
        find_files(annotations, folder if has_data else None, None, None, finds_test=True)


def test_a_folder_without_a_training_set_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no train\.json"):
        find_files([], tmp_path, None, None, finds_test=True)


@pytest.mark.parametrize("finds_test", [True, False])
def test_the_folders_test_set_is_for_those_who_measure_one(folder, finds_test):
    test = folder / "test.json"
    test.write_text("{}")
    found = find_files([], folder, None, None, finds_test=finds_test)
    assert found.test == (test if finds_test else None)
