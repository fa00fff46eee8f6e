"""Varied pictures stay pictures, and vary."""

from __future__ import annotations

import numpy as np
from made_faces import draw_face

from toolkit.training.augment import augment


def test_the_same_seed_gives_the_same_variant() -> None:
    image = draw_face(1, 30, side_px=112)

    one, other = (augment(image, np.random.default_rng(3)) for _ in range(2))

    assert np.array_equal(one, other)


def test_variants_are_pictures_of_many_sizes_and_the_original_is_untouched() -> None:
    image = draw_face(1, 30, side_px=112)
    before = image.copy()

    variants = [augment(image, np.random.default_rng(seed)) for seed in range(60)]

    assert all(v.dtype == np.uint8 and v.ndim == 3 and min(v.shape[:2]) >= 8 for v in variants)
    assert len({v.shape for v in variants}) > 20
    assert np.array_equal(image, before)


def test_about_half_of_the_variants_are_mirrored() -> None:
    image = np.zeros((112, 112, 3), np.uint8)
    image[:, :56] = 200

    variants = [augment(image, np.random.default_rng(seed)) for seed in range(200)]

    lefts = [v[:, : v.shape[1] // 2].mean() for v in variants]
    rights = [v[:, v.shape[1] // 2 :].mean() for v in variants]
    mirrored = np.mean(np.array(rights) > np.array(lefts))
    assert 0.35 < mirrored < 0.65
