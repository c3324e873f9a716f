"""Which classes are kept, and in which words an unknown one is refused."""

import pytest

from maskstream.errors import ConfigError
from maskstream.tools.arguments.checks import class_ids_of


def test_class_names_become_ids():
    names = ("person", "traffic light", "car")
    assert class_ids_of("car, person", names) == frozenset({0, 2})
    assert class_ids_of("traffic light", names) == frozenset({1})


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("persn", "--classes: the engine does not know 'persn'; did you mean 'person'?"),
        ("Person", "--classes: the engine does not know 'Person'; did you mean 'person'?"),
        ("zebra", "--classes: the engine does not know 'zebra'; it knows person, car."),
        (" , ", "--classes: ' , ' names no class; it knows person, car."),
    ],
)
def test_an_unknown_class_name_is_refused_with_the_nearest(wanted, message):
    with pytest.raises(ConfigError) as caught:
        class_ids_of(wanted, ("person", "car"))
    assert str(caught.value) == message


def test_of_many_classes_a_few_are_listed():
    with pytest.raises(ConfigError, match="c9 and 70 more"):
        class_ids_of("???", [f"c{index}" for index in range(80)])
