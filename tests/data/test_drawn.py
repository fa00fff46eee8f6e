"""Drawn faces are a pack like any other."""

from __future__ import annotations

from toolkit.data.drawn import SIDE_PX, write_drawn_faces
from toolkit.data.faces import load_faces


def test_a_drawn_pack_is_read_like_a_real_one(tmp_path):
    path = write_drawn_faces(tmp_path / "new" / "drawn.parquet", train=30, val=10, test=20)

    test = load_faces(path, "test")

    assert len(load_faces(path)) == 60
    assert len(test) == 20
    assert test.picture(0).shape == (SIDE_PX, SIDE_PX, 3)
    assert set(load_faces(path).rows["race"]) == {"group A", "group B"}


def test_the_same_seed_draws_the_same_faces(tmp_path):
    packs = [
        load_faces(write_drawn_faces(tmp_path / f"{number}.parquet", 4, 1, 1, seed=seed))
        for number, seed in enumerate((3, 3, 4))
    ]

    first, again, other = (pack.rows["image"].tolist() for pack in packs)

    assert first == again
    assert first != other
