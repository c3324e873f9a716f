"""`maskstream parity`: whether two engines see the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from maskstream.engines.engine import Engine
from maskstream.engines.files.disk import write_text_atomically
from maskstream.engines.interface.backend import Outputs
from maskstream.engines.interface.instances import Instances
from maskstream.errors import ConfigError
from maskstream.tools.arguments.checks import check_file
from maskstream.tools.arguments.engine_choice import EngineChoice
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.arguments.samples import Sample, read_samples
from maskstream.tools.engine_files.agreement import InstanceAgreement, OutputDifferences
from maskstream.tools.engine_files.parity_report import Bounds, Findings

if TYPE_CHECKING:
    from maskstream.train.evaluation.coco_ap import Metrics
    from maskstream.train.samples.coco import CocoSet

EXIT_APART = 1
_TOP_K = 100
_WORD = "An engine file or a name, and what it is to run in if you like: person@openvino/fp32."


FirstArgument = Annotated[str, typer.Argument(metavar="A", help=_WORD, show_default=False)]
SecondArgument = Annotated[str, typer.Argument(metavar="B", help="Likewise.", show_default=False)]
FramesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="CLIP|PICTURES",
        help="A video, a picture, or a folder of pictures; the annotated ones if left out.",
    ),
]
AnnotationsOption = Annotated[
    Path | None, typer.Option(help="COCO JSON: compare AP on all of its pictures too.")
]
ImagesOption = Annotated[
    Path | None,
    typer.Option(help="Folder that the annotations' file names start in; theirs if left out."),
]
MaxFramesOption = Annotated[
    int, typer.Option(min=1, help="Frames at most, evenly spread over a clip.")
]
ScoreOption = Annotated[float, typer.Option(min=0, max=1, help="Compare nothing less sure.")]
MatchedMinOption = Annotated[
    float, typer.Option(min=0, max=1, help="Least share of the instances that both see.")
]
MaskIouMinOption = Annotated[
    float, typer.Option(min=0, max=1, help="Least mask IoU, the worst twentieth left out.")
]
OutputMaxOption = Annotated[
    float | None, typer.Option(min=0, help="Largest difference in an output; any if left out.")
]
ApMaxOption = Annotated[
    float, typer.Option(min=0, help="Largest difference of an AP, in hundredths.")
]
JsonFileOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the figures.")
]


def parity(
    first: FirstArgument,
    second: SecondArgument,
    frames: FramesOption = None,
    annotations: AnnotationsOption = None,
    images: ImagesOption = None,
    max_frames: MaxFramesOption = 64,
    score: ScoreOption = 0.3,
    matched_min: MatchedMinOption = 0.95,
    mask_iou_min: MaskIouMinOption = 0.9,
    output_max: OutputMaxOption = None,
    ap_max: ApMaxOption = 0.2,
    json_file: JsonFileOption = None,
) -> None:
    """Give two engines the same frames, and leave with exit code 1 if they differ too much."""
    if json_file is not None:
        check_file(json_file)
    dataset = None if annotations is None else _labelled(annotations, images)
    if frames is not None:
        samples = read_samples(frames, max_frames)
    elif dataset is not None:
        samples = _pictures(dataset, max_frames)
    else:
        raise ConfigError("parity: there are no frames; give --frames or --annotations.")
    bounds = Bounds(
        matched_min=matched_min, mask_iou_min=mask_iou_min, output_max=output_max, ap_max=ap_max
    )
    choices = EngineChoice.parse(first), EngineChoice.parse(second)
    with choices[0].open(batch=1) as a, choices[1].open(batch=1) as b:
        outputs, seen = compare(a, b, samples, score_min=score)
        if not sum(seen.counts):
            raise ConfigError(
                f"parity: neither engine sees anything surer than {score} in {seen.frame_count} "
                "frames; give frames with objects in them, or a lower --score."
            )
        aps = None if dataset is None else (_ap(a, dataset), _ap(b, dataset))
        titles = (_title(choices[0], a), _title(choices[1], b))
    findings = Findings(titles, outputs, seen, aps, bounds)
    findings.show(Console(highlight=False))
    if json_file is not None:
        write_text_atomically(json_file, json.dumps(findings.document(), indent=2) + "\n")
    if not findings.agree:
        raise typer.Exit(EXIT_APART)


def compare(
    first: Engine, second: Engine, samples: Iterator[Sample], *, score_min: float
) -> tuple[OutputDifferences, InstanceAgreement]:
    """Return how far two engines agree on some frames.

    Outputs are compared only where both are of one family: two families mean different things.
    """
    outputs, seen = OutputDifferences(), InstanceAgreement()
    names = first.manifest.class_names, second.manifest.class_names
    is_one_family = first.manifest.family == second.manifest.family
    for sample in samples:
        (given_a, found_a), (given_b, found_b) = (
            _look(engine, sample, score_min) for engine in (first, second)
        )
        if is_one_family:
            outputs.add(given_a, given_b, score_min=score_min)
        seen.add(found_a, found_b, names)
    return outputs, seen


def _look(engine: Engine, sample: Sample, score_min: float) -> tuple[Outputs, Instances]:
    """Return an engine's outputs for a frame, and the instances in them."""
    side, kind = engine.manifest.input_size, engine.manifest.fit
    frame = sample.to_input(side, kind)
    outputs = engine.infer(frame[None])
    (found,) = engine.assemble(
        outputs,
        [sample.size_px],
        score_min=score_min,
        top_k=_TOP_K,
        pictures=[sample.picture],
    )
    return outputs, found


def _labelled(annotations: Path, images: Path | None) -> CocoSet:
    with needs_training_parts("parity --annotations"):
        from maskstream.train.samples.coco import read_coco
    return read_coco(annotations, images)


def _pictures(dataset: CocoSet, count_max: int) -> Iterator[Sample]:
    for image in islice(dataset.images, count_max):
        yield Sample.of_rgb(image.read())


def _ap(engine: Engine, dataset: CocoSet) -> Metrics:
    from maskstream.train.evaluation.coco_ap import evaluate

    return evaluate(engine, dataset)


def _title(choice: EngineChoice, engine: Engine) -> str:
    return f"{choice.engine} in {engine.backend}, {engine.precision}"
