"""Rare ages come as often as asked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from made_faces import face_rows

from toolkit.data.faces import FaceTable
from toolkit.training.balance import draw_order


@pytest.fixture
def faces() -> FaceTable:
    """90 faces in their twenties, 10 of 70 and older, all of one gender."""
    rows = face_rows(100).assign(gender=0)
    rows["age_lo"] = [20] * 90 + [70] * 10
    rows["age_hi"] = rows["age_lo"] + 9
    return FaceTable("made", Path("made.parquet"), rows)


def old_share(faces: FaceTable, balance: float) -> float:
    order = draw_order(faces, balance, np.random.default_rng(0))
    assert len(order) == 100
    return float((faces.ages_lo[order] == 70).mean())


def test_without_balance_every_face_comes_once(faces: FaceTable) -> None:
    assert sorted(draw_order(faces, 0.0, np.random.default_rng(0))) == list(range(100))


def test_with_balance_every_cell_comes_as_often(faces: FaceTable) -> None:
    assert old_share(faces, 1.0) == pytest.approx(0.5, abs=0.02)


def test_half_a_balance_lies_between(faces: FaceTable) -> None:
    # By hand: 90 ** 0.5 to 10 ** 0.5 is 3 to 1.
    assert old_share(faces, 0.5) == pytest.approx(0.25, abs=0.02)


def test_faces_of_one_cell_come_equally_often(faces: FaceTable) -> None:
    counts = Counter(draw_order(faces, 1.0, np.random.default_rng(0)).tolist())

    assert {counts[row] for row in range(90, 100)} <= {4, 5, 6}
    assert max(counts[row] for row in range(90)) == 1
