"""Varied pictures stay pictures, and vary."""

from __future__ import annotations

import numpy as np
import pytest
from made_faces import draw_face

from toolkit.training import augment
from toolkit.training.augment import vary


def test_the_same_seed_gives_the_same_variant() -> None:
    image = draw_face(1, 30, side_px=112)

    one, other = (vary(image, 96, np.random.default_rng(3)) for _ in range(2))

    assert np.array_equal(one, other)


def test_variants_differ_and_the_original_is_untouched() -> None:
    image = draw_face(1, 30, side_px=112)
    before = image.copy()

    variants = [vary(image, 96, np.random.default_rng(seed)) for seed in range(60)]

    assert all(v.dtype == np.uint8 and v.shape == (96, 96, 3) for v in variants)
    assert len({v.tobytes() for v in variants}) == 60
    assert np.array_equal(image, before)


def test_about_half_of_the_variants_are_mirrored() -> None:
    image = np.zeros((112, 112, 3), np.uint8)
    image[:, :56] = 200

    variants = [vary(image, 80, np.random.default_rng(seed)) for seed in range(200)]

    lefts = [v[:, :40].mean() for v in variants]
    rights = [v[:, 40:].mean() for v in variants]
    assert 0.35 < np.mean(np.array(rights) > np.array(lefts)) < 0.65


def test_without_turn_and_shift_only_the_size_changes() -> None:
    image = draw_face(0, 50, side_px=96)

    shrunk = augment._reframed(image, 48, False, 0.5, np.array([0.0, 0.0, augment.UPWARD_SHIFT / 0.05]))

    expected = image.reshape(48, 2, 48, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - expected).mean() < 1.0


@pytest.mark.parametrize("share", ["GREY", "SMALL", "BLUR", "ERASED", "NOISE", "JPEG"])
def test_every_kind_of_damage_can_happen(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GREY", "SMALL", "BLUR", "ERASED", "NOISE", "JPEG"):
        monkeypatch.setattr(augment, f"{name}_SHARE", 0.0)
    image = draw_face(1, 30, side_px=96)
    clean = [vary(image, 64, np.random.default_rng(seed)) for seed in range(5)]

    monkeypatch.setattr(augment, f"{share}_SHARE", 1.0)
    damaged = [vary(image, 64, np.random.default_rng(seed)) for seed in range(5)]

    assert np.abs(np.stack(damaged).astype(float) - np.stack(clean)).max() > 20
