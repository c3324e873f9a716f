"""``maskstream run --track`` on a real clip: ids, held masks, and every frame in its order."""

import json

import pytest


@pytest.mark.system
def test_people_of_a_street_keep_their_numbers(maskstream, clips_dir, tmp_path):
    done = maskstream(
        "run", clips_dir / "vtest.avi", "--track", "--max-frames", 60, "-o", "out.mp4",
        "--results", "seen.ndjson", "--report", "r.json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frames = [json.loads(line) for line in (tmp_path / "seen.ndjson").read_text().splitlines()]
    assert [frame["seq"] for frame in frames] == list(range(60))
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["frames"]["delivered"], report["frames"]["dropped"]) == (60, {})
    ids = [[row["track_id"] for row in frame["instances"]] for frame in frames]
    assert all(len(set(row)) == len(row) for row in ids)
    # Of those in view all the time some walk behind the lamp post; the others keep one number.
    lengths = {one: sum(one in row for row in ids) for row in ids for one in row}
    assert sum(length >= 50 for length in lengths.values()) >= 3
    assert len(lengths) <= 12
