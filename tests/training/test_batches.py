"""The loader: every face once an epoch, the same whatever the threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from made_faces import face_rows

from toolkit.data.faces import FaceTable
from toolkit.training.batches import BatchLoader


def loader(count: int, batch_size: int = 4, **more: object) -> BatchLoader:
    rows = face_rows(count)
    rows["age_lo"] = rows["age_hi"] = np.arange(count)
    faces = FaceTable("made", Path("made.parquet"), rows)
    pictures = np.stack([faces.picture(index) for index in range(count)])
    return BatchLoader(faces, pictures, batch_size, seed=1, **more)  # type: ignore[arg-type]


def test_an_epoch_shows_every_face_once_in_a_new_order() -> None:
    with loader(24) as batches:
        first, second = (
            torch.cat([batch.ages_lo for batch in batches.epoch(number, 32)]).tolist() for number in (1, 2)
        )

    assert sorted(first) == sorted(second) == list(range(24))
    assert first != second != list(range(24))


def test_every_batch_varies_its_pictures_in_its_own_way() -> None:
    with loader(8, batch_size=8) as batches:
        first, second = (next(iter(batches.epoch(number, 32))) for number in (1, 2))

    one, other = (batch.images_nhwc[batch.ages_lo.argsort()] for batch in (first, second))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_labels_stay_with_their_pictures() -> None:
    with loader(24, batch_size=24) as batches:
        batch = next(iter(batches.epoch(1, 32)))

    assert batch.images_nhwc.shape == (24, 32, 32, 3)
    redness = batch.images_nhwc[:, 12:20, 12:20].float().mean(dim=(1, 2)) @ torch.tensor([-1.0, 0.0, 1.0])
    coloured = redness.abs() > 20
    assert coloured.sum() > 8
    assert torch.equal(redness[coloured] > 0, batch.genders[coloured] == 1)


def test_the_number_of_threads_changes_nothing() -> None:
    pictures = []
    for threads in (1, 3):
        with loader(24, threads=threads) as batches:
            pictures.append(torch.cat([batch.images_nhwc for batch in batches.epoch(1, 32)]))

    assert torch.equal(*pictures)


def test_processes_share_every_batch_between_them() -> None:
    ages = []
    for share in ((0, 1), (0, 2), (1, 2)):
        with loader(24, batch_size=6, share=share) as batches:
            ages.append([batch.ages_lo.tolist() for batch in batches.epoch(1, 32)])

    whole, first, second = ages
    assert [a + b for a, b in zip(first, second, strict=True)] == whole
    assert {len(part) for part in first} == {3}


def test_a_loader_that_does_not_vary_gives_pictures_as_they_are_stored() -> None:
    with loader(8, varies=False) as batches:
        batch = next(iter(batches.epoch(1, 32)))
        stored = batches._pictures[batch.ages_lo.numpy()]

    assert np.array_equal(batch.images_nhwc.numpy(), stored)
