"""Numbers in sentences."""

from toolkit.words import counted


def test_one_thing_is_no_several_things():
    assert [counted(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
    assert [counted(n, "person", "people") for n in (1, 1200)] == ["1 person", "1,200 people"]
