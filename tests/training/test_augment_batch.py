"""Batches varied on the device look like pictures varied one by one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from made_faces import draw_textured_face

from toolkit.training import augment
from toolkit.training.augment_batch import vary_batch
from toolkit.training.jpeg_batch import compressed

_SHARES = ("GREY_SHARE", "SMALL_SHARE", "BLUR_SHARE", "ERASED_SHARE", "NOISE_SHARE", "JPEG_SHARE")


@pytest.fixture
def faces() -> torch.Tensor:
    """(16, 96, 96, 3), uint8, BGR."""
    return torch.from_numpy(np.stack([draw_textured_face(n % 2, 30, 96, seed=n) for n in range(16)]))


@pytest.fixture
def nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only framing and light are left, and those with no spread."""
    for name in (*_SHARES, "ROTATION_DEGREES", "SCALE_SIGMA", "SHIFT_SIGMA", "UPWARD_SHIFT"):
        monkeypatch.setattr(augment, name, 0.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class NoSpread:
    """Chance that always says the same: ``share`` of everything, and the middle of every bell."""

    def __init__(self, share: float) -> None:
        self._share = share

    def random(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        return np.full(shape, self._share, dtype)

    def standard_normal(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        return np.zeros(shape, dtype)


def test_the_same_seed_gives_the_same_variants_and_the_original_is_untouched(faces: torch.Tensor) -> None:
    before = faces.clone()
    one, again, other = (vary_batch(faces, 64, rng(seed)) for seed in (1, 1, 2))

    assert (one.shape, one.dtype) == ((16, 64, 64, 3), torch.uint8)
    assert torch.equal(one, again)
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert torch.equal(faces, before)


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_without_any_spread_only_the_size_changes(faces: torch.Tensor, is_mirrored: bool) -> None:
    varied = vary_batch(faces, 72, NoSpread(0.0 if is_mirrored else 0.9))  # type: ignore[arg-type]

    for face, variant in zip(faces.numpy(), varied.numpy(), strict=True):
        expected = cv2.resize(face[:, ::-1] if is_mirrored else face, (72, 72))
        assert np.abs(expected.astype(int) - variant).max() <= 1


def test_a_picture_is_framed_and_lit_as_one_varied_alone(
    faces: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in _SHARES:
        monkeypatch.setattr(augment, name, 0.0)
    normal, share = rng(3).standard_normal(9, dtype=np.float32), np.float32(0.8)
    occurs = np.full(12, share)

    class Chance(NoSpread):
        def standard_normal(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
            return np.broadcast_to(normal, shape).astype(dtype)

        def random(self, shape: object, dtype: type) -> np.ndarray:
            return occurs.astype(dtype) if isinstance(shape, int) else np.full(shape, share, dtype)

    together = vary_batch(faces, 64, Chance(0.8))  # type: ignore[arg-type]

    monkeypatch.setattr(Chance, "standard_normal", lambda self, shape, dtype: normal)
    alone = np.stack([augment.vary(face, 64, Chance(0.8)) for face in faces.numpy()])  # type: ignore[arg-type]
    assert np.abs(together.numpy().astype(int) - alone).mean() < 1.0


@pytest.mark.parametrize("share", _SHARES)
@pytest.mark.usefixtures("nothing_happens")
def test_every_kind_of_damage_happens_to_its_share_and_to_no_other(
    faces: torch.Tensor, monkeypatch: pytest.MonkeyPatch, share: str
) -> None:
    many = faces.repeat(16, 1, 1, 1)
    sound = vary_batch(many, 96, rng())
    monkeypatch.setattr(augment, share, 0.25)

    damaged = vary_batch(many, 96, rng())

    changed = (sound != damaged).flatten(1).any(dim=1)
    assert 0.15 < changed.float().mean() < 0.35


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize(
    ("share", "is_duller"), [("SMALL_SHARE", True), ("BLUR_SHARE", True), ("NOISE_SHARE", False)]
)
def test_small_and_blurred_pictures_lose_detail_and_noisy_ones_gain_it(
    faces: torch.Tensor, monkeypatch: pytest.MonkeyPatch, share: str, is_duller: bool
) -> None:
    sound = vary_batch(faces, 96, rng())
    monkeypatch.setattr(augment, share, 1.0)
    monkeypatch.setattr(augment, "NOISE_SIGMA", (30.0, 30.0))

    damaged = vary_batch(faces, 96, rng())

    detail, left = (images.float().diff(dim=2).abs().mean() for images in (sound, damaged))
    assert (left < 0.9 * detail) if is_duller else (left > 1.2 * detail)
    assert abs(sound.float().mean() - damaged.float().mean()) < 6


@pytest.mark.parametrize("quality", [10, 30, 70, 95])
def test_compression_is_that_of_opencv(quality: int) -> None:
    faces = np.stack([draw_textured_face(n % 2, 30, 90, seed=n) for n in range(4)])
    images = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255

    ours = compressed(images, torch.full((4, 1, 1, 1), float(quality)))

    saved = [cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for face in faces]
    theirs = np.stack([cv2.imdecode(jpeg, cv2.IMREAD_COLOR) for jpeg in saved]).astype(float)
    off = np.abs(ours.permute(0, 2, 3, 1).numpy() * 255 - theirs).mean()
    lost = np.abs(faces - theirs).mean()
    assert off < 0.25 * lost + 0.5
