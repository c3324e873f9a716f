"""An engine on pictures in memory."""

import numpy as np
import pytest

import maskstream as ms


@pytest.fixture(scope="module")
def engine():
    with ms.open_engine("person-light", threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def street(clips_dir):
    """The first frame of a street, as RGB."""
    import av

    with av.open(str(clips_dir / "vtest.avi")) as clip:
        return next(clip.decode(video=0)).to_ndarray(format="rgb24")


def test_people_of_a_street_are_found_where_they_stand(engine, street):
    found = engine.predict(street, score=0.5)
    assert {seen.class_name for seen in found} == {"person"}
    # By eye: somebody in dark clothes stands at (640..684, 240..325).
    assert any(abs(s.box[0] - 644) < 15 and abs(s.box[1] - 241) < 15 for s in found)
    assert found.masks().shape == (len(found), 576, 768)


def test_many_pictures_of_many_sizes_come_back_in_order(engine, street):
    pictures = [street, street[:300], street[:, :400], street[::2, ::2], street]
    found = list(engine.predict_many(pictures))
    assert [(f.width, f.height) for f in found] == [
        (768, 576), (768, 300), (400, 576), (384, 288), (768, 576),
    ]  # fmt: skip
    assert np.array_equal(found[0].boxes, found[4].boxes)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)],
    ids=["grey", "floats", "empty"],
)
def test_what_is_no_picture_is_refused(engine, array):
    with pytest.raises(ms.ConfigError, match=r"\(height, width, 3\) of uint8"):
        engine.predict(array)


def test_an_unknown_class_is_refused_with_a_suggestion(engine, street):
    with pytest.raises(ms.ConfigError, match="did you mean 'person'"):
        engine.predict(street, classes=["persn"])
