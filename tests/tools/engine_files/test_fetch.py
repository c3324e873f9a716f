"""Fetching a released engine, as a user types it, from a server of our own."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from maskstream.engines import open_engine, read_manifest, resolve_engine
from maskstream.engines.errors import EngineError, EngineFileError, WeightsError
from maskstream.engines.files.zoo import RELEASES, fetched_folder, list_engines
from maskstream.tools.arguments import download
from maskstream.tools.arguments.download import DownloadError
from maskstream.tools.engine_files import fetch as engines_fetch
from maskstream.tools.engine_files.engines_command import app
from tests.helpers.engines.released import released_state
from tests.helpers.range_server import serve

NAME = "yolact-resnet50"
FILE = "dbolya/yolact-resnet50/resolve/main/yolact_resnet50_54_800000.pth"


def run(*arguments: object) -> None:
    """Run `maskstream engines` with arguments."""
    app([str(argument) for argument in arguments], prog_name="engines", standalone_mode=False)


@pytest.fixture(scope="session")
def released_file(tmp_path_factory):
    """A file of true keys and shapes, with random values."""
    path = tmp_path_factory.mktemp("released") / "net.pth"
    torch.save(released_state(NAME), path)
    return path


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A model host on which nothing lies yet; the user's cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    (tmp_path / "host" / FILE).parent.mkdir(parents=True)
    with serve(tmp_path / "host") as behaviour:
        yield behaviour


def test_releases_are_the_six_of_the_model_host():
    assert {release.name: (release.repository, release.file_name) for release in RELEASES} == {
        "yolact-resnet50": ("dbolya/yolact-resnet50", "yolact_resnet50_54_800000.pth"),
        "yolact-darknet53": ("dbolya/yolact-darknet53", "yolact_darknet53_54_800000.pth"),
        "yolact-base": ("dbolya/yolact-base", "yolact_base_54_800000.pth"),
        "yolact-im700": ("dbolya/yolact-im700", "yolact_im700_54_800000.pth"),
        "yolact-plus-resnet50": (
            "dbolya/yolact-plus-resnet50",
            "yolact_plus_resnet50_54_800000.pth",
        ),
        "yolact-plus-base": ("dbolya/yolact-plus-base", "yolact_plus_base_54_800000.pth"),
    }


def test_what_can_be_fetched_is_listed_with_its_published_accuracy(server, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    run()
    out = capsys.readouterr().out
    assert "person" in out
    assert "maskstream engines fetch NAME" in out
    (line,) = (line for line in out.splitlines() if "yolact-plus-base" in line)
    assert line.split() == [
        "yolact-plus-base",
        *["COCO", "mask", "AP", "34.6", "MIT"],
        "dbolya/yolact-plus-base",
    ]


@pytest.mark.slow
def test_an_engine_is_fetched_over_a_broken_connection_and_runs_by_name(
    server, released_file, capsys, monkeypatch
):
    shutil.copy(released_file, server.folder / FILE)
    server.cut_after_bytes = [40_000_000]
    with pytest.raises(EngineFileError, match="maskstream engines fetch yolact-resnet50"):
        resolve_engine(NAME)

    run("fetch", NAME, "--mirror", server.url)

    captured = capsys.readouterr()
    engine = fetched_folder() / f"{NAME}.onnx"
    assert captured.out.splitlines() == [str(engine)]
    assert server.ranges == [None, "bytes=40000000-"]
    assert "yolact_resnet50_54_800000.pth: " in captured.err
    assert resolve_engine(NAME) == engine
    assert NAME in [entry.name for entry in list_engines()]
    manifest = read_manifest(engine)
    assert (manifest.class_names[0], len(manifest.class_names)) == ("person", 80)
    assert (manifest.input_size, manifest.licence) == (550, "MIT")
    assert "SHA-256" in manifest.source

    # Once more: nothing is asked of the server. And listed, it is among those that are here.
    run("fetch", NAME, "--mirror", server.url)
    assert len(server.ranges) == 2
    assert "here since an earlier fetch" in capsys.readouterr().err
    monkeypatch.setenv("COLUMNS", "120")
    run()
    assert "segm.AP 28.2" in capsys.readouterr().out

    with open_engine(NAME, threads=1, batch=1) as opened:
        found = opened.detect(np.zeros((1, 550, 550, 3), np.uint8), [(64, 48)])
    assert len(found) == 1

    # The publisher's file changes: what was recorded at first use does not fit any more.
    engine.unlink()
    (fetched_folder().parent / "weights" / "yolact_resnet50_54_800000.pth").unlink()
    torch.save(released_state(NAME, seed=1), server.folder / FILE)
    with pytest.raises(DownloadError, match=r"recorded in .*sha256\.json when first fetched"):
        run("fetch", NAME, "--mirror", server.url)
    assert not engine.exists()


def test_a_file_with_another_hash_than_the_pinned_is_refused(server, monkeypatch):
    torch.save({"weight": torch.zeros(3)}, server.folder / FILE)
    pinned = tuple(replace(release, sha256="0" * 64) for release in RELEASES)
    monkeypatch.setattr(engines_fetch, "RELEASES", pinned)
    with pytest.raises(DownloadError, match=r"where 0000000.* is pinned"):
        run("fetch", NAME, "--mirror", server.url)
    weights = fetched_folder().parent / "weights"
    assert list(weights.iterdir()) == []


def test_a_file_that_does_not_fit_is_not_kept_and_its_hash_not_recorded(server):
    torch.save({"weight": torch.zeros(3)}, server.folder / FILE)
    with pytest.raises(WeightsError, match="does not fit yolact-resnet50"):
        run("fetch", NAME, "--mirror", server.url)
    assert list((fetched_folder().parent / "weights").iterdir()) == []
    assert engines_fetch.recorded_hashes() == {}


def test_a_page_in_place_of_the_file_is_refused(server):
    (server.folder / FILE).write_text("<html>please log in</html>")
    with pytest.raises(WeightsError, match="no file of PyTorch weights"):
        run("fetch", NAME, "--mirror", server.url)


def test_a_file_that_the_host_has_not_is_told(server):
    with pytest.raises(DownloadError, match="the server answered 404"):
        run("fetch", "yolact-base", "--mirror", server.url)


def test_offline_it_says_so(server):
    with pytest.raises(DownloadError, match=r"model-host\.invalid: not reached"):
        run("fetch", NAME, "--mirror", "http://model-host.invalid")


def test_another_name_lists_what_there_is(server):
    with pytest.raises(EngineError, match="use one of yolact-resnet50, yolact-darknet53"):
        run("fetch", "yolact")
    with pytest.raises(EngineError, match="person: is here; nothing has to be fetched"):
        run("fetch", "person")


def test_a_spoilt_record_is_named(server):
    folder = fetched_folder().parent / "weights"
    folder.mkdir(parents=True)
    (folder / "sha256.json").write_text("{")
    with pytest.raises(DownloadError, match=r"sha256\.json: cannot be read"):
        engines_fetch.recorded_hashes()


def test_hashes_of_several_files_are_kept_side_by_side(server):
    (fetched_folder().parent / "weights").mkdir(parents=True)
    for release, digest in zip(RELEASES[:2], ("a", "b"), strict=True):
        engines_fetch._record(release, digest)
    record = json.loads((fetched_folder().parent / "weights" / "sha256.json").read_text())
    assert record == {RELEASES[0].file_name: "a", RELEASES[1].file_name: "b"}
