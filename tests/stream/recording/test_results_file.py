"""The file of what was seen: its names, and what is left of it however a run ends."""

import pytest

from maskstream.engines.files.disk import partial_path
from maskstream.errors import OutputError
from maskstream.stream.recording.results_file import ResultsFile


def test_lines_can_be_read_while_they_are_written_and_get_their_name_at_the_end(tmp_path):
    path = tmp_path / "seen.ndjson"
    file = ResultsFile(path, is_continued=False)
    file.write({"seq": 0, "class": "Fußgänger"})
    assert partial_path(path).read_text(encoding="utf-8") == '{"seq":0,"class":"Fußgänger"}\n'
    file.close(complete=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["seen.ndjson"]


def test_a_file_goes_on_after_a_line_that_was_torn(tmp_path):
    path = tmp_path / "seen.ndjson"
    partial_path(path).write_text('{"seq":0}\n{"se', encoding="utf-8")
    file = ResultsFile(path, is_continued=True)
    file.write({"seq": 1})
    file.close(complete=True)
    assert path.read_text(encoding="utf-8") == '{"seq":0}\n{"seq":1}\n'


@pytest.mark.parametrize(("complete", "names"), [(True, ["seen.ndjson"]), (False, [])])
def test_an_empty_file_is_kept_only_of_a_source_that_came_to_its_end(tmp_path, complete, names):
    ResultsFile(tmp_path / "seen.ndjson", is_continued=False).close(complete=complete)
    assert [entry.name for entry in tmp_path.iterdir()] == names


def test_giving_up_leaves_lines_under_the_partial_name_and_nothing_without_any(tmp_path):
    path = tmp_path / "seen.ndjson"
    ResultsFile(path, is_continued=False).abort()
    assert list(tmp_path.iterdir()) == []
    file = ResultsFile(path, is_continued=False)
    file.write({"seq": 0})
    file.abort()
    assert list(tmp_path.iterdir()) == [partial_path(path)]


def test_a_folder_that_is_not_there_is_told_in_words(tmp_path):
    path = tmp_path / "missing/seen.ndjson"
    with pytest.raises(OutputError, match=r"seen\.ndjson: cannot be written \(No such file"):
        ResultsFile(path, is_continued=False)
