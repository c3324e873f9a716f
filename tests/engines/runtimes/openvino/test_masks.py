"""A graph that makes masks only where one is looked at says the same of all that is looked at."""

from typing import Any

import cv2
import numpy as np
import openvino
import pytest
from openvino import opset15 as ops

from maskstream.engines import open_engine, resolve_engine
from maskstream.engines.decoding.crops import RgbPicture
from maskstream.engines.interface.backend import EVERYTHING, BackendOptions, Wanted
from maskstream.engines.interface.fit import fitted
from maskstream.engines.runtimes.openvino.backend import OpenVinoBackend
from maskstream.engines.runtimes.openvino.graph import move_less
from maskstream.engines.runtimes.openvino.masks import mask_if_wanted, told
from tests.helpers.engines.subjects import SUBJECTS

SIDE = 2


def graph_of_two_rows(batch=1):
    """Returns a graph of frames whose pixels are percents.

    The first line are two rows' scores, the second their boxes' widths and heights. Masks are each
    frame's mean, with an offset that the scores use too.
    """
    frames = ops.parameter([batch, SIDE, SIDE, 3], np.uint8, "frames")
    offset = ops.constant(np.float32(0.0))
    parts = ops.divide(ops.convert(frames, np.float32), np.float32(100))
    first, second = ops.split(parts, np.int64(1), 2).outputs()  # (B, 1, 2, 3)
    level = ops.squeeze(ops.gather(first, np.int64(0), np.int64(3)), np.array([1]))
    sizes = ops.squeeze(ops.gather(second, np.array([0, 1]), np.int64(3)), np.array([1]))
    outputs = {
        "boxes": ops.concat([ops.multiply(sizes, np.float32(0)), sizes], 2),
        "scores": ops.add(level, offset),
        "class_ids": ops.convert(level, np.int32),
        "masks": ops.add(ops.reduce_mean(parts, np.array([1, 2, 3]), True), offset),
        "levels": ops.exp(level),
    }
    for name, node in outputs.items():
        node.output(0).set_names({name})
    return openvino.Model([ops.result(node) for node in outputs.values()], [frames])


def made_for(graph, name):
    ports = [result.input_value(0) for result in graph.get_results()]
    return next(port for port in ports if name in port.get_names())


def run(graph, frames, wanted):
    compiled = openvino.Core().compile_model(graph, "CPU")
    found = compiled([np.asarray(frames, np.uint8), told(wanted)])
    return {output.any_name: found[output] for output in compiled.outputs}


def frame(scores, sizes):
    return [[[score, 0, 0] for score in scores], [[*size, 0] for size in sizes]]


@pytest.mark.parametrize(
    ("wanted", "is_made"),
    [
        (EVERYTHING, True),
        (Wanted(score_min=0.5), True),
        (Wanted(score_min=0.7), False),
        # The likelier row has the smaller box: 0.2 x 0.3, beside 0.6 x 0.5.
        (Wanted(score_min=0.2, mask_area_min=0.29, small_count_max=9), True),
        (Wanted(score_min=0.5, mask_area_min=0.29, small_count_max=9), False),
        (Wanted(score_min=0.5, mask_area_min=0.05, small_count_max=9), True),
        (Wanted(score_min=0.2, mask_area_min=0.9, small_count_max=1), True),
        (Wanted(score_min=0.2, mask_area_min=0.9, small_count_max=2), False),
        (Wanted(score_min=0.5, mask_area_min=0.9, small_count_max=1), False),
    ],
)
def test_masks_are_made_where_a_large_row_counts_or_more_than_are_small(wanted, is_made):
    graph = graph_of_two_rows()
    assert mask_if_wanted(graph)
    found = run(graph, [frame((60, 30), ((20, 30), (60, 50)))], wanted)
    np.testing.assert_allclose(found["scores"], [[0.6, 0.3]], rtol=1e-6)
    np.testing.assert_allclose(found["boxes"], [[[0, 0, 0.2, 0.3], [0, 0, 0.6, 0.5]]], rtol=1e-6)
    # (60 + 30 + 20 + 30 + 60 + 50) / 12 hundredths
    np.testing.assert_allclose(found["masks"].ravel(), [0.2083333 * is_made], rtol=1e-5)
    np.testing.assert_allclose(found["levels"], np.exp([[0.6, 0.3]]) * is_made, rtol=1e-5)


def test_one_frame_of_a_request_is_enough_for_all_of_it():
    graph = graph_of_two_rows(batch=2)
    assert mask_if_wanted(graph)
    empty, full = (frame((score, 0), ((90, 90), (0, 0))) for score in (1, 90))
    wanted = Wanted(score_min=0.5)
    assert run(graph, [empty, full], wanted)["masks"].all()
    assert not run(graph, [empty, empty], wanted)["masks"].any()


def test_limits_are_told_lower_than_bfloat16_may_round():
    score_min, area_min, count_max = told(Wanted(score_min=0.5, mask_area_min=0.1))
    assert 0.4 < score_min < 0.5 * (1 - 2**-8)  # what bfloat16 may round away
    assert 0.05 < area_min < 0.1 * (1 - 2**-8)
    assert count_max == 0


@pytest.mark.parametrize("missing", ["scores", "boxes", "masks, levels"])
def test_a_graph_without_rows_or_without_more_than_rows_stays_as_it_is(missing):
    graph = graph_of_two_rows()
    for result in graph.get_results():
        if result.input_value(0).get_any_name() in missing:
            graph.remove_result(result)
    assert not mask_if_wanted(graph)
    assert len(graph.inputs) == 1


def test_masks_that_scores_are_made_of_stay_where_they_are():
    graph = graph_of_two_rows()
    masks, scores = (made_for(graph, name) for name in ("masks", "scores"))
    (target,) = scores.get_target_inputs()
    weighed = ops.multiply(scores, ops.reshape(masks, np.array([1, 1]), False)).output(0)
    scores.set_names(set())
    weighed.set_names({"scores"})
    target.replace_source_output(weighed)
    assert mask_if_wanted(graph)  # the levels are still for nobody else
    found = run(graph, [frame((60, 30), ((20, 30), (60, 50)))], Wanted(score_min=0.99))
    assert found["masks"].all()
    assert not found["levels"].any()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("name", ["yolact", "mask-rcnn"])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_network_s_masks_are_the_same_where_they_are_looked_at_and_else_zero(cache, name, batch):
    subject = SUBJECTS[name]
    options = BackendOptions(
        input_size=subject.input_size, threads=2, batch=batch, precision="fp32"
    )
    backend = OpenVinoBackend(subject.engine_file(), options)
    side = subject.input_size
    frames = np.random.default_rng(7).integers(0, 256, (3, side, side, 3), np.uint8)
    frames[1] = 114
    expected = {key: array.copy() for key, array in backend.infer(frames).items()}
    best = np.sort(expected["scores"][:, 0])
    threshold = float(best[1] + best[2]) / 2  # the best row of one frame alone scores so much
    found = backend.infer(frames, Wanted(score_min=threshold / 0.9))
    is_looked_at = expected["scores"][:, 0] >= threshold
    assert is_looked_at.sum() == 1
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key][is_looked_at], array[is_looked_at])
        if key in ("boxes", "scores", "class_ids"):
            np.testing.assert_array_equal(found[key], array)
        elif not backend.arrangement.whole and backend.arrangement.group == 1:
            assert array[~is_looked_at].any()
            assert not found[key][~is_looked_at].any()
    backend.close()


def test_the_shipped_engine_makes_no_masks_of_small_people_and_finds_the_same(cache, shared_dir):
    engine = open_engine("person", threads=2, batch=4)
    clip = cv2.VideoCapture(str(shared_dir / "data/clips/vtest.avi"))
    pictures: list[Any] = [cv2.cvtColor(clip.read()[1], cv2.COLOR_BGR2RGB) for _ in range(3)]
    pictures.append(pictures[0][100:300, 200:300])  # where whoever is there is no longer small
    clip.release()
    side, sizes_px = engine.manifest.input_size, [picture.shape[1::-1] for picture in pictures]
    frames = np.stack([fitted(picture, side, engine.manifest.fit) for picture in pictures])
    options: dict[str, Any] = {
        "score_min": 0.4,
        "pictures": [RgbPicture(picture) for picture in pictures],
    }
    ours = engine.detect(frames, sizes_px, **options)
    share_max = engine.manifest.crop_share_max
    assert share_max is not None
    wanted = Wanted(score_min=0.4, mask_area_min=share_max, small_count_max=32)
    some = engine.infer(frames, wanted)["prototypes"].copy()
    every = engine.infer(frames)
    theirs = engine.assemble(every, sizes_px, **options)
    assert [bool(prototypes.any()) for prototypes in some] == [False, False, False, True]
    np.testing.assert_array_equal(some[3], every["prototypes"][3])
    assert min(map(len, ours)) >= 1
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        for patch, same in zip(one.patches, other.patches, strict=True):
            np.testing.assert_array_equal(patch, same)
    engine.close()


@pytest.mark.slow
def test_an_int8_graph_makes_them_too_where_they_are_looked_at():
    frames = np.random.default_rng(0).integers(0, 256, (1, 416, 416, 3), np.uint8)
    core, hints = openvino.Core(), {"INFERENCE_PRECISION_HINT": "f32"}
    plain, graph = (core.read_model(resolve_engine("person-light-int8")) for _ in range(2))
    expected = core.compile_model(plain, "CPU", hints)(frames)["prototypes"]
    move_less(graph)
    graph.reshape(frames.shape)
    assert mask_if_wanted(graph)
    compiled = core.compile_model(graph, "CPU", hints)
    looked_at = compiled([frames, told(EVERYTHING)])["prototypes"].copy()
    assert np.abs(looked_at - expected).mean() < 0.1 * np.abs(expected).mean()
    assert not compiled([frames, told(Wanted(score_min=2.0))])["prototypes"].any()
