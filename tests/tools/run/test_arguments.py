"""That there is one list of options: what is typed, what a file says, what a run does."""

import inspect
from dataclasses import fields, is_dataclass

import pytest

from maskstream.errors import ConfigError
from maskstream.stream.arguments import (
    SOURCE_OVERRIDES,
    PipelineArguments,
    RunArguments,
    SourceArguments,
    arguments_of,
)
from maskstream.stream.options import RunOptions, TimeOptions
from maskstream.tools.run import command as run
from maskstream.tools.run import config_command as config
from maskstream.tools.run.config_keys import build_schema
from maskstream.tools.run.faults import Faults
from maskstream.tools.run.request import make_request
from maskstream.tools.run.request_checks import check_request

ONLY_TYPED = {"context", "sources", "config", "quiet", "verbose", "file"}
FOR_CODE_ALONE = {"times", "replaced", "manifest"}
"""Fields of a run that neither the command nor a file sets."""


def options_of(function):
    return {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ONLY_TYPED
    }


@pytest.mark.parametrize("command", [run.run, config.check, config.explain])
def test_the_command_has_exactly_the_options_that_a_file_has(command):
    options = options_of(command)
    assert list(options) == list(arguments_of(RunArguments))
    for name, parameter in options.items():
        assert parameter.default == arguments_of(RunArguments)[name].default, name


def test_a_file_has_the_options_and_sources_and_nothing_else():
    assert set(arguments_of(PipelineArguments)) == {*arguments_of(RunArguments), "source"}
    assert set(SOURCE_OVERRIDES) < set(arguments_of(SourceArguments))
    assert set(SOURCE_OVERRIDES.values()) < set(arguments_of(RunArguments))


def test_every_option_is_explained_in_help_and_schema():
    properties = build_schema()["properties"]
    listed = arguments_of(RunArguments)
    for name, argument in listed.items():
        assert len(argument.option.help) > 10, name
        assert properties[name]["description"] == argument.option.help
    assert listed["outputs"].flag == "--output"
    assert listed["restart"].flag == "--restart"
    assert listed["top_k"].flag == "--top-k"


def test_every_option_reaches_the_run(tmp_path):
    """With all options away from their defaults, each field of the run is away from its own."""
    token = tmp_path / "token"
    token.write_text("a-token-of-24-characters\n")
    token.chmod(0o600)
    given = {
        "policy": "block", "max_frames": 5, "outputs": [str(tmp_path)],
        "results": [str(tmp_path)], "results_format": "msgpack",
        "report": tmp_path / "r.json", "web": "127.0.0.1:0",
        "web_token_file": token, "display_fps": True, "color_by": "instance", "segment": "10m",
        "decoder": "cpu", "encoder": "libx264",
        "keep": "24h", "keep_size": "50GB", "engine": "person", "backend": "openvino",
        "device": "GPU", "precision": "fp32", "require_gpu": True, "family": "yolact",
        "batch": 2, "score": 0.5, "top_k": 3, "max_crops": 8, "classes": "person",
        "rtsp_transport": "udp",
        "source_timeout": 2.0, "restart": True, "chaos": "drop=0.5",
        "telemetry": "tcp://127.0.0.1:5556", "telemetry_format": "msgpack",
        "telemetry_public": True, "status_http": "127.0.0.1:0", "status_token_file": token,
        "log_json": "-", "opacity": 0.9, "boxes": False, "labels": False, "preset": "fast",
        "crf": 30, "slots": 9, "threads": 1, "track": True,
    }  # fmt: skip
    assert set(given) == set(arguments_of(RunArguments))
    path = tmp_path / "p.toml"
    path.write_text('[[source]]\nuri = "synthetic:numbered"\nbatch_share = 1\n')
    faults = Faults()
    checked = check_request(make_request([], given, path), faults)
    faults.raise_any()
    plain = RunOptions(sources=(), engine="")
    assert unchanged(checked.options, plain) == FOR_CODE_ALONE
    assert checked.options.page_token == "a-token-of-24-characters"
    assert unchanged(checked.telemetry, type(checked.telemetry)()) == set()


def unchanged(values, defaults, prefix=""):
    """Names of the fields that still have their defaults, those of objects in them too."""
    names = set()
    for field in fields(values):
        value, default = getattr(values, field.name), getattr(defaults, field.name)
        if is_dataclass(value) and type(value) not in (TimeOptions,) and default:
            names |= unchanged(value, default, f"{prefix}{field.name}.")
        elif value == default:
            names.add(f"{prefix}{field.name}")
    return names


@pytest.mark.parametrize("name", ["batch", "score", "top_k", "max_frames", "source_timeout"])
def test_a_file_has_the_same_ranges_as_the_command(name):
    """The bounds pass the run's own check, and what lies beyond them does not."""
    key = build_schema()["properties"][name]
    least, most = key["minimum"], key.get("maximum")
    step = 0.01 if name in ("score", "source_timeout") else 1
    for value in (least, *([] if most is None else [most])):
        run_options(name, value).check()
    for value in (least - step, *([] if most is None else [most + step])):
        with pytest.raises(ConfigError, match="must be"):
            run_options(name, value).check()


def run_options(name, value) -> RunOptions:
    request = make_request(["synthetic:numbered"], {name: value}, None)
    return check_request(request, Faults()).options
