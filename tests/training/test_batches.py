"""The loader: every face once an epoch, the same whatever the threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_faces import face_rows

from toolkit.data.faces import FaceTable
from toolkit.errors import DataError
from toolkit.training.batches import BatchLoader


def table(count: int) -> FaceTable:
    rows = face_rows(count)
    rows["age_lo"] = rows["age_hi"] = np.arange(count)
    return FaceTable("made", Path("made.parquet"), rows)


def test_an_epoch_shows_every_face_once_in_a_new_order() -> None:
    with BatchLoader(table(24), image_px=32, batch_size=4, seed=1) as loader:
        first, second = (
            torch.cat([batch.ages_lo for batch in loader.epoch(number)]).tolist() for number in (1, 2)
        )

    assert sorted(first) == sorted(second) == list(range(24))
    assert first != second != list(range(24))


def test_every_batch_varies_its_pictures_in_its_own_way() -> None:
    faces = table(8)
    faces.rows["image"] = [faces.rows.at[0, "image"]] * 8

    with BatchLoader(faces, image_px=32, batch_size=4, seed=1) as loader:
        first, second = (batch.images_nhwc for batch in loader.epoch(1))

    assert not torch.equal(first, second)


def test_labels_stay_with_their_pictures() -> None:
    with BatchLoader(table(24), image_px=32, batch_size=24, seed=1) as loader:
        batch = next(loader.epoch(1))

    assert batch.images_nhwc.shape == (24, 32, 32, 3)
    redness = batch.images_nhwc[:, 12:20, 12:20].float().mean(dim=(1, 2)) @ torch.tensor([-1.0, 0.0, 1.0])
    coloured = redness.abs() > 20
    assert coloured.sum() > 12
    assert torch.equal(redness[coloured] > 0, batch.genders[coloured] == 1)


def test_the_number_of_threads_changes_nothing() -> None:
    pictures = []
    for threads in (1, 3):
        with BatchLoader(table(24), image_px=32, batch_size=4, seed=1, threads=threads) as loader:
            pictures.append(torch.cat([batch.images_nhwc for batch in loader.epoch(1)]))

    assert torch.equal(*pictures)


def test_a_broken_picture_ends_the_epoch_with_its_row() -> None:
    faces = table(8)
    faces.rows.at[5, "image"] = b"broken"

    with (
        BatchLoader(faces, image_px=32, batch_size=4, seed=1) as loader,
        pytest.raises(DataError, match=r"row 5 \(train/5.jpg\)"),
    ):
        list(loader.epoch(1))
