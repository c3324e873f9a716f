"""Running an engine needs no torch: no process of a run ever asks for it."""

import os

import pytest

from tests.helpers.engines.tiny import tiny_engine_file

# Python runs this first in every process that finds it on its path, the stages' ones included.
WATCH = """
import os, pathlib, sys
folder = pathlib.Path(os.environ["WATCH_FOLDER"])
(folder / f"{os.getpid()}.began").touch()

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "torchvision", "maskstream.train.loop.trainer"):
            (folder / f"{os.getpid()}.asked").write_text(name)

sys.meta_path.insert(0, Watch())
"""


@pytest.mark.system
def test_no_process_of_a_run_asks_for_torch(maskstream, tmp_path, monkeypatch):
    engine = tiny_engine_file()
    watch = tmp_path / "watch"
    watch.mkdir()
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    monkeypatch.setenv("WATCH_FOLDER", str(watch))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    source = "synthetic:numbered?size=160x120&fps=30&frames=8"
    done = maskstream("run", source, "--engine", engine, "-o", "out.mp4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.read_text() for path in watch.glob("*.asked")] == []
    # The command and its four stages at least: the watch was in all of them.
    assert len(list(watch.glob("*.began"))) >= 5
