"""Which boxes are objects, background, or neither."""

import pytest
import torch

from maskstream.engines.networks.mask_rcnn.network import MaskRcnn
from maskstream.train.mask_rcnn.data import Truths
from maskstream.train.mask_rcnn.regions import NEITHER, choose_regions, label_boxes
from tests.helpers.engines.tiny_mask_rcnn import SIDE, tiny_config

OBJECT = [0.0, 0.0, 40.0, 40.0]
IGNORED = [60.0, 60.0, 90.0, 90.0]


@pytest.fixture(scope="module")
def heads():
    return MaskRcnn(tiny_config()).network.roi_heads


def truths(*, is_exhaustive=True, objects=(OBJECT,)):
    count = len(objects)
    return Truths(
        boxes=[torch.tensor(objects).view(count, 4)],
        labels=[torch.full((count,), 3)],
        masks=[torch.zeros(count, SIDE, SIDE, dtype=torch.uint8)],
        has_mask=[torch.ones(count, dtype=torch.bool)],
        ignored=[torch.tensor([IGNORED])],
        is_exhaustive=torch.tensor([is_exhaustive]),
        seeds=torch.tensor([0]),
    )


# Overlaps with the object: 30 / 40 = 0.75, 16 / 40 = 0.4 and none.
BOXES = [
    pytest.param([0.0, 0.0, 40.0, 30.0], True, 3, id="object"),
    pytest.param([0.0, 0.0, 40.0, 16.0], True, 0, id="background"),
    pytest.param([0.0, 50.0, 20.0, 70.0], True, 0, id="background-apart"),
    pytest.param([62.0, 62.0, 80.0, 80.0], True, NEITHER, id="inside-ignored"),
    pytest.param([50.0, 50.0, 70.0, 70.0], True, 0, id="a-quarter-ignored"),
    pytest.param([0.0, 0.0, 40.0, 16.0], False, 0, id="touches-the-labelled"),
    pytest.param([0.0, 50.0, 20.0, 70.0], False, NEITHER, id="perhaps-unlabelled"),
]


@pytest.mark.parametrize(("box", "is_exhaustive", "label"), BOXES)
def test_labels(heads, box, is_exhaustive, label):
    found = truths(is_exhaustive=is_exhaustive)
    labels, owners = label_boxes(heads.proposal_matcher, torch.tensor([box]), found, 0)
    assert labels.tolist() == [label]
    assert owners.tolist() == [0]


def test_without_objects_all_is_background(heads):
    boxes = torch.tensor([[0.0, 50.0, 20.0, 70.0]])
    labels, _ = label_boxes(heads.proposal_matcher, boxes, truths(objects=()), 0)
    assert labels.tolist() == [0]


def test_true_boxes_are_among_the_regions_and_objects_a_quarter(heads):
    torch.manual_seed(0)
    near = torch.tensor(OBJECT) + torch.rand(40, 4)
    far = torch.tensor([0.0, 50.0, 20.0, 70.0]) + torch.rand(40, 4)
    chosen = choose_regions(heads, [torch.cat([near, far])], truths())
    labels = chosen.labels[0]
    assert len(labels) == 30
    assert (labels == 3).sum() == 7
    assert len(chosen.mask_boxes[0]) == 7
    alone = choose_regions(heads, [far], truths())
    assert alone.boxes[0][alone.labels[0] == 3].tolist() == [OBJECT]


def test_what_is_drawn_in_a_picture_does_not_depend_on_the_others_of_its_batch(heads):
    first, second = truths(), truths()
    both = Truths(
        **{
            name: getattr(first, name) + getattr(second, name)
            for name in ("boxes", "labels", "masks", "has_mask", "ignored")
        },
        is_exhaustive=torch.tensor([True, True]),
        seeds=torch.tensor([5, 9]),
    )
    torch.manual_seed(0)
    near = torch.tensor(OBJECT) + torch.rand(80, 4)
    far = torch.tensor([0.0, 50.0, 20.0, 70.0]) + torch.rand(80, 4)
    proposals = torch.cat([near, far])
    together = choose_regions(heads, [proposals, proposals], both)
    alone = choose_regions(heads, [proposals], both.part(slice(1, 2)))
    torch.testing.assert_close(together.boxes[1], alone.boxes[0])
    assert not torch.equal(together.boxes[0], together.boxes[1])
