"""The choice of decoders and encoders: by measurements made up, and by trying what is here."""

from fractions import Fraction

import pytest

from maskstream.errors import ConfigError
from maskstream.stream.codecs.hardware import Candidate, Trial, best_of, choose, try_codecs
from maskstream.stream.codecs.hardware_trial import try_one
from maskstream.stream.options import CodecOptions
from maskstream.stream.sources.open import open_source
from maskstream.stream.supervision.plan import make_plan
from tests.helpers.clips import canvas, make_clip
from tests.helpers.line import options

STUBBORN = "tests.stream.stubborn_trial"
NVENC = Candidate("encoder", "h264_nvenc", ("nvidiactl",))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/maskstream/codecs"


@pytest.fixture
def dev(tmp_path):
    """Device files of NVIDIA's driver and of a render node."""
    folder = tmp_path / "dev"
    (folder / "dri").mkdir(parents=True)
    (folder / "nvidiactl").touch()
    (folder / "dri/renderD128").touch()
    return folder


class Measured:
    """Gives times in ms, or texts for what does not work, by name; counts what it was asked."""

    def __init__(self, **found):
        self.found = found
        self.asked: list[str] = []

    def __call__(self, candidates):
        self.asked += [one.name for one in candidates]
        return [self._trial(one) for one in candidates]

    def _trial(self, one):
        found = self.found.get(one.name, "operation not permitted")
        is_time = isinstance(found, float)
        return Trial(one.kind, one.name, found if is_time else None, "" if is_time else found)


def test_the_quickest_is_used_and_all_times_are_told(dev):
    choice = choose("encoder", dev=dev, measure=Measured(libx264=9.0, h264_nvenc=2.0, h264_qsv=3.0))
    assert choice.name == "h264_nvenc"
    assert choice.reason == (
        "the quickest for a frame of 720p: libx264 9.0 ms, h264_nvenc 2.0 ms, h264_qsv 3.0 ms"
    )


@pytest.mark.parametrize("cuda_ms", [1.5, 4.0])
def test_the_processor_decodes_where_the_device_takes_as_long_or_longer(dev, cuda_ms):
    choice = choose("decoder", dev=dev, measure=Measured(cpu=1.5, cuda=cuda_ms))
    assert choice.name == "cpu"
    assert f"cpu 1.5 ms, cuda {cuda_ms} ms" in choice.reason


def test_what_does_not_work_is_told_with_its_cause(dev):
    choice = choose("decoder", dev=dev, measure=Measured(cpu=1.5, vaapi="not built into FFmpeg"))
    assert choice.name == "cpu"
    assert choice.reason == "cuda: operation not permitted; vaapi: not built into FFmpeg"


def test_nothing_is_tried_where_no_device_is_there(tmp_path):
    measured = Measured()
    choice = choose("encoder", dev=tmp_path / "no-such-folder", measure=measured)
    assert (choice.name, choice.reason) == ("libx264", "no graphics hardware is here")
    assert measured.asked == []


def test_hevc_is_used_only_where_it_is_asked_for(dev):
    measured = Measured(libx264=9.0, h264_nvenc=2.0, hevc_nvenc=1.0)
    assert choose("encoder", dev=dev, measure=measured).name == "h264_nvenc"
    assert "hevc_nvenc" not in measured.asked
    assert choose("encoder", "hevc_nvenc", dev=dev, measure=measured).name == "hevc_nvenc"


def test_what_was_measured_is_kept_and_measured_anew_where_it_was_lost(dev, cache):
    measured = Measured(cpu=2.0, cuda=1.0)
    for _ in range(3):
        assert choose("decoder", dev=dev, measure=measured).name == "cuda"
    assert measured.asked == ["cpu", "cuda", "vaapi"]
    for path in cache.iterdir():
        path.write_text("{torn")
    assert choose("decoder", dev=dev, measure=measured).name == "cuda"
    assert measured.asked == ["cpu", "cuda", "vaapi"] * 2


def test_what_hung_is_tried_again_by_the_next_run(dev):
    measured = Measured(cpu=2.0, cuda="no answer within 20 s")
    for _ in range(2):
        assert choose("decoder", dev=dev, measure=measured).name == "cpu"
    assert measured.asked.count("cuda") == 2
    assert measured.asked.count("cpu") == 1


@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_an_unknown_name_is_refused_with_those_there_are(kind):
    with pytest.raises(ConfigError, match=rf"--{kind}: 'nvdec' was given; it must be auto or"):
        choose(kind, "nvdec")


def test_a_wish_that_cannot_be_met_is_refused_with_its_cause(dev):
    with pytest.raises(ConfigError, match=r"h264_qsv does not work here \(no session\); use auto"):
        choose("encoder", "h264_qsv", dev=dev, measure=Measured(h264_qsv="no session"))
    repaired = Measured(h264_qsv=3.0)
    assert choose("encoder", "h264_qsv", dev=dev, measure=repaired).name == "h264_qsv"
    assert choose("encoder", "libx264", dev=dev, measure=Measured()).reason == "as was asked for"


def test_a_trial_that_hangs_or_dies_is_skipped_and_nothing_is_printed(
    nothing_left, capfd, monkeypatch, repository_dir
):
    monkeypatch.setenv("PYTHONPATH", str(repository_dir))  # where what stands in is found
    names = ("first", "hangs", "between", "dies", "last")
    trials = try_codecs([Candidate("encoder", name) for name in names], limit_s=2, module=STUBBORN)
    assert [trial.name for trial in trials] == list(names)
    assert [trial.frame_ms for trial in trials] == [2.0, None, 2.0, None, 2.0]
    assert trials[1].problem == "no answer within 2 s"
    assert trials[3].problem == "its driver ended the process (-11)"
    assert capfd.readouterr() == ("", "")


def test_hardware_that_is_not_here_is_found_so_by_trying(nothing_left, capfd):
    trials = try_codecs([NVENC, Candidate("decoder", "cuda"), Candidate("decoder", "vaapi")])
    assert capfd.readouterr() == ("", "")
    for trial in trials:
        assert (trial.frame_ms is None) == bool(trial.problem)
    if trials[0].frame_ms is not None:
        pytest.skip("an NVIDIA GPU encodes here")
    assert trials[0].problem == "operation not permitted"
    assert best_of("encoder", trials).name == "libx264"


@pytest.mark.parametrize(("kind", "name"), [("decoder", "cpu"), ("encoder", "libx264")])
def test_the_processor_is_measured(kind, name):
    trial = try_one(kind, name)
    assert trial.problem == ""
    assert trial.frame_ms is not None
    assert trial.frame_ms > 0


def test_a_file_that_the_device_does_not_take_is_decoded_by_the_processor(tmp_path):
    path = make_clip(tmp_path / "clip.mkv", codec="ffv1", pixel_format="yuv420p")
    source = open_source(str(path), threads=1, decoder="cuda")
    planes = canvas(64, 48)
    times = []
    for frame in source.frames():
        frame.write_into(planes)
        times.append(frame.pts * frame.time_base)
    source.close()
    assert [round(time * 25) for time in times] == [0, 1, 2, 3, 4]
    assert all(isinstance(time, Fraction) for time in times)
    assert source.error is None
    assert source.warnings == (f"{path}: decoded by the processor, as cuda does not take it.",)


def test_a_run_tells_what_decodes_and_encodes(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4")
    codec = CodecOptions(decoder="cpu", encoder="libx264")
    asked = options(
        str(clip), output=str(tmp_path / "out.mp4"), codec=codec, real=("source", "writer")
    )
    plan = make_plan(asked)
    assert plan.codecs() == ("decoder cpu (as was asked for), encoder libx264 (as was asked for)")
    assert plan.encoder_settings(0).encoder == "libx264"


def test_a_live_playlist_in_hevc_is_refused(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4")
    playlist = tmp_path / "live/index.m3u8"
    codec = CodecOptions(encoder="hevc_nvenc")
    with pytest.raises(ConfigError, match="web players do not play hevc_nvenc"):
        make_plan(options(str(clip), output=str(playlist), codec=codec, real=("source", "writer")))
