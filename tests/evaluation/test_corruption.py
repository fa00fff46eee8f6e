"""What happens to pictures: more at each severity, the same for the same seed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_faces import draw_face

from toolkit.errors import ConfigError, ShapeError
from toolkit.evaluation.config import CORRUPTION_NAMES
from toolkit.evaluation.corruption import LOW_RESOLUTION_PX, SEVERITIES, corrupt

FACES = [
    cv2.GaussianBlur(draw_face(number % 2, 10 * number, 96, seed=number), (0, 0), 1) for number in range(4)
]


def damage(corruption: str, severity: int) -> float:
    """Mean difference from the clean pictures, in grey levels."""
    worse = corrupt(FACES, corruption, severity)
    same_size = [cv2.resize(image, (96, 96)) for image in worse]
    return float(np.abs(np.stack(same_size).astype(float) - np.stack(FACES)).mean())


@pytest.mark.parametrize("corruption", CORRUPTION_NAMES)
def test_each_severity_does_more_damage_than_the_one_before(corruption):
    by_severity = [damage(corruption, severity) for severity in SEVERITIES]

    assert by_severity == sorted(by_severity)
    assert by_severity[-1] > 1.3 * by_severity[0] > 0


@pytest.mark.parametrize("corruption", CORRUPTION_NAMES)
def test_what_happens_to_a_picture_depends_on_its_number_not_on_its_neighbours(corruption):
    before = [face.copy() for face in FACES]

    together = corrupt(FACES, corruption, 3, seed=5, first=10)
    alone = corrupt(FACES[2:3], corruption, 3, seed=5, first=12)

    assert np.array_equal(together[2], alone[0])
    assert all(np.array_equal(face, kept) for face, kept in zip(FACES, before, strict=True))


@pytest.mark.parametrize("corruption", CORRUPTION_NAMES)
def test_pictures_of_odd_and_different_sizes_keep_theirs(corruption):
    images = [FACES[0], FACES[1][:31, :45], FACES[2][:2, :3], FACES[3]]

    worse = corrupt(images, corruption, 1)

    longest = LOW_RESOLUTION_PX[0] if corruption == "low_resolution" else 96
    assert [max(image.shape) for image in worse] == [longest, 45, 3, longest]
    assert all(image.dtype == np.uint8 for image in worse)


def test_no_picture_gives_none():
    assert [corrupt([], corruption, 2) for corruption in CORRUPTION_NAMES] == [[]] * len(CORRUPTION_NAMES)


def test_an_occlusion_covers_the_share_it_names():
    [covered] = corrupt([np.zeros((100, 100, 3), np.uint8)], "occlusion", 5)

    assert (covered == 127).all(axis=2).mean() == pytest.approx(0.5, abs=0.02)


def test_night_is_darker_and_noisier():
    grey = np.full((64, 64, 3), 128, np.uint8)

    first, last = (corrupt([grey], "night", severity)[0] for severity in (1, 5))

    assert last.mean() < 0.6 * first.mean()
    assert first.std() > 1
    assert last.std() / last.mean() > 2 * first.std() / first.mean()


def test_a_mistake_is_named_with_what_was_meant():
    with pytest.raises(ConfigError, match="did you mean 'blur'"):
        corrupt(FACES, "blurry", 1)
    with pytest.raises(ConfigError, match="severity must be one of"):
        corrupt(FACES, "blur", 6)
    with pytest.raises(ShapeError, match="image 0 must be"):
        corrupt([FACES[0].astype(float)], "blur", 1)
