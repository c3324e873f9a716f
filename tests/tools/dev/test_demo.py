"""What `make demo` runs, in a process of its own."""

import hashlib
import json
import subprocess
import sys

import pytest

from maskstream.engines.files.zoo import SHIPPED_FOLDER
from maskstream.tools.dev.demo_clip import PEDESTRIANS


@pytest.fixture
def demo(repository_dir, tmp_path):
    """Runs the demonstration with an empty cache of its own."""

    def run(*arguments, cache=None):
        return subprocess.run(
            [sys.executable, "-m", "maskstream.tools.dev.demo", *map(str, arguments)],
            cwd=repository_dir,
            env={"PATH": "", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(cache or tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )

    return run


@pytest.fixture
def _shipped_engine():
    """Skips where the engine is not there yet."""
    if not (SHIPPED_FOLDER / "person.onnx").is_file():
        pytest.skip(f"{SHIPPED_FOLDER} has no person.onnx: there is no engine to show.")


def test_the_clip_is_the_one_that_its_sum_says(clips_dir):
    content = (clips_dir / PEDESTRIANS.name).read_bytes()
    assert len(content) == PEDESTRIANS.size_bytes
    assert hashlib.sha256(content).hexdigest() == PEDESTRIANS.sha256


@pytest.mark.usefixtures("_shipped_engine")
def test_a_video_that_is_not_there_is_named(demo, tmp_path):
    done = demo(tmp_path / "my.mp4", "--output-dir", tmp_path / "out")
    assert done.returncode == 3
    assert done.stderr.startswith(f"maskstream: {tmp_path / 'my.mp4'}: no such file")
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_for_the_results_that_cannot_be_made_is_named(demo, tmp_path):
    (tmp_path / "out").write_text("a file")
    done = demo(tmp_path / "my.mp4", "--output-dir", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"demo: {tmp_path / 'out'}: File exists")


@pytest.mark.slow
@pytest.mark.usefixtures("_shipped_engine")
def test_the_kept_clip_goes_through_the_shipped_engine(demo, clips_dir, tmp_path):
    kept = tmp_path / "cache" / "maskstream" / "clips" / PEDESTRIANS.name
    kept.parent.mkdir(parents=True)
    kept.symlink_to(clips_dir / PEDESTRIANS.name)
    out = tmp_path / "out"
    done = demo("--output-dir", out, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert f"kept from an earlier run in {kept}" in done.stdout
    assert f"annotated video: {out / 'demo.mp4'}" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == ["demo.mp4", "demo.report.json"]
    frames = json.loads((out / "demo.report.json").read_text())["frames"]
    assert frames == {"captured": 795, "delivered": 795, "dropped": {}, "in_flight": 0}
