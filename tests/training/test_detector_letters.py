"""Words that are written onto made pictures."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.training.detector_letters import TYPEFACES, ink_of, put_word

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def paper() -> np.ndarray:
    return np.full((60, 90, 3), 255, np.uint8)


def test_a_word_is_as_high_as_asked_for_and_begins_where_asked_for() -> None:
    image = paper()

    put_word(image, "e", (20, 15), 30, BLACK, np.random.default_rng(0))

    rows, columns = np.nonzero(image.min(axis=2) < 255)
    assert (rows.min(), rows.max() + 1) == (15, 45)
    assert 20 <= columns.min() <= 22


@pytest.mark.parametrize("left_top", [(-10, -10), (80, 50), (-500, 0), (0, -500), (500, 0), (0, 500)])
def test_what_lies_beyond_the_edge_is_left_out(left_top: tuple[int, int]) -> None:
    image = paper()

    put_word(image, "Mm", left_top, 30, BLACK, np.random.default_rng(0))

    assert image.shape == (60, 90, 3)
    is_seen = -60 < left_top[0] < 90 and -30 < left_top[1] < 60
    assert (image.min() < 128) == is_seen


def test_ink_of_the_colour_of_the_paper_is_not_seen() -> None:
    image = paper()

    put_word(image, "abc", (5, 5), 40, WHITE, np.random.default_rng(0))

    assert (image == paper()).all()


@pytest.mark.parametrize("typeface", TYPEFACES)
def test_every_typeface_has_its_letters(typeface: str) -> None:
    a, e = (ink_of(letter, typeface) for letter in "ae")

    assert a.max() == e.max() == 1.0
    assert 0.1 < a.mean() < 0.8
    assert a.shape != e.shape or not np.allclose(a, e)
