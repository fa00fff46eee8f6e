"""Pictures that look identical are found, others are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from made_faces import draw_face

from toolkit.data.duplicates import HASH_BYTES, MOST_BITS_APART, Groups, group_duplicates, perceptual_hash


def scene(seed: int) -> np.ndarray:
    """A picture with large and small structure: noise in four sizes, as in a photograph."""
    rng = np.random.default_rng(seed)
    sizes = (4, 8, 16, 128)
    layers = [
        cv2.resize(rng.uniform(0, 60, (n, n, 3)), (128, 128), interpolation=cv2.INTER_CUBIC) for n in sizes
    ]
    return np.clip(sum(layers), 0, 255).astype(np.uint8)


def changed(image: np.ndarray, how: str) -> np.ndarray:
    if how == "smaller":
        return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    if how == "brighter":
        return cv2.convertScaleAbs(image, alpha=1.05, beta=5)
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize("how", ["smaller", "brighter", "saved again"])
def test_a_copy_is_found(how: str) -> None:
    hashes = [
        perceptual_hash(image) for seed in range(20) for image in (scene(seed), changed(scene(seed), how))
    ]

    groups = group_duplicates(np.stack(hashes))

    assert groups.tolist() == [row - row % 2 for row in range(40)]


def test_different_pictures_stay_apart() -> None:
    hashes = np.stack([perceptual_hash(scene(seed)) for seed in range(200)])

    assert group_duplicates(hashes).tolist() == list(range(200))


def test_a_mirrored_face_is_another_picture() -> None:
    face = draw_face(1, 30, side_px=96, seed=3)
    face[:, :30] //= 2

    groups = group_duplicates(np.stack([perceptual_hash(face), perceptual_hash(face[:, ::-1])]))

    assert groups.tolist() == [0, 1]


@pytest.mark.parametrize(("bits", "is_found"), [(MOST_BITS_APART, True), (MOST_BITS_APART + 1, False)])
def test_hashes_are_compared_bit_by_bit_wherever_they_differ(bits: int, is_found: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        one = rng.integers(0, 2, HASH_BYTES * 8).astype(np.uint8)
        other = one.copy()
        other[rng.permutation(HASH_BYTES * 8)[:bits]] ^= 1

        groups = group_duplicates(np.packbits(np.stack([one, other]), axis=1))

        assert (groups[1] == 0) == is_found


def test_groups_grow_over_common_members() -> None:
    groups = Groups(6)
    groups.join([(4, 5), (1, 4)])
    groups.join_alike(["", "anna", "anna", "", "", ""])

    assert groups.numbers().tolist() == [0, 1, 1, 3, 1, 1]
