"""Engine files by name and path, and what they say about themselves."""

import onnx
import pytest

from maskstream.engines.errors import EngineFileError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.files.onnx_metadata import read_metadata
from maskstream.engines.files.zoo import list_engines, read_manifest, resolve_engine
from tests.helpers.engines.tiny import tiny_engine_file, tiny_manifest


def test_manifest_survives_the_file():
    manifest = read_manifest(tiny_engine_file())
    assert manifest.class_names == tiny_manifest().class_names
    assert manifest.input_size == 64
    assert set(manifest.tools) >= {"torch", "onnx"}


def test_metadata_equals_what_onnx_reads():
    model = onnx.load(tiny_engine_file())
    assert read_metadata(tiny_engine_file()) == {p.key: p.value for p in model.metadata_props}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"", "no graph", id="empty"),
        pytest.param(b"hello world, I am a text file\n" * 20, "no engine", id="text"),
        pytest.param(b"\xff" * 4096, "no engine", id="noise"),
    ],
)
def test_a_file_that_is_no_engine_is_named_with_what_is_needed(tmp_path, content, text):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(EngineFileError, match=text) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_engine_is_refused(tmp_path, share):
    data = tiny_engine_file().read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(EngineFileError, match=r"cut short|no ONNX|no graph"):
        read_manifest(path)


def test_an_onnx_without_our_manifest_says_how_to_make_one(tmp_path):
    model = onnx.load(tiny_engine_file())
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(EngineFileError, match="maskstream export"):
        read_manifest(tmp_path / "foreign.onnx")


def test_a_broken_manifest_is_an_error():
    with pytest.raises(EngineFileError, match="export the engine again"):
        Manifest.from_json('{"family": "yolact"}', where="x.onnx")


def test_an_unknown_name_lists_the_known():
    with pytest.raises(EngineFileError, match="engines with a name"):
        resolve_engine("no-such-engine")


def test_a_folder_is_not_an_engine(tmp_path):
    with pytest.raises(EngineFileError, match="folder"):
        resolve_engine(str(tmp_path))


def test_listed_engines_can_be_resolved_by_name():
    for entry in list_engines():
        assert resolve_engine(entry.name) == entry.path
