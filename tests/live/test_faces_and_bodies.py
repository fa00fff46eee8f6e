"""Which face belongs to which body."""

from __future__ import annotations

import pytest

from toolkit.live.bodies import face_region, head_of, holds, pair_faces, place_in

STANDING = (100.0, 50.0, 160.0, 230.0)
FACE = (120.0, 56.0, 140.0, 78.0)


def test_a_face_belongs_to_the_body_whose_head_it_is() -> None:
    beside = (170.0, 50.0, 230.0, 230.0)

    assert pair_faces([FACE], [beside, STANDING]) == [(0, 1)]


def test_of_two_bodies_that_hold_a_face_the_one_whose_top_is_nearer_has_it() -> None:
    taller_and_behind = (95.0, 20.0, 165.0, 240.0)

    assert pair_faces([FACE], [taller_and_behind, STANDING]) == [(0, 1)]


def test_all_together_are_paired_so_that_nobody_is_left_without_need() -> None:
    # The first face fits both bodies, the second only the one that the first likes better.
    second = (104.0, 56.0, 124.0, 78.0)
    wide = (60.0, 46.0, 150.0, 230.0)

    assert sorted(pair_faces([FACE, second], [STANDING, wide])) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(
    "face",
    [
        (120.0, 180.0, 140.0, 202.0),
        (88.0, 56.0, 108.0, 78.0),
        (120.0, 0.0, 140.0, 22.0),
        (148.0, 56.0, 164.0, 72.0),
    ],
    ids=["at the knees", "half outside", "above", "at the edge"],
)
def test_a_face_that_is_not_in_the_upper_part_belongs_to_no_body(face: tuple) -> None:
    assert pair_faces([face], [STANDING]) == []


def test_nobody_is_paired_with_nobody() -> None:
    assert pair_faces([], [STANDING]) == pair_faces([FACE], []) == []


def test_a_head_is_at_the_top_or_where_its_face_was_and_moves_with_the_body() -> None:
    left, top, right, bottom = head_of(STANDING)
    assert (left + right) / 2 == 130
    assert top == 50
    assert right - left == bottom - top == 24

    moved = tuple(side + 40.0 for side in STANDING)
    assert head_of(moved, place_in(STANDING, FACE)) == pytest.approx([side + 40 for side in FACE])
    assert holds(STANDING, FACE)
    assert not holds(moved, (0.0, 0.0, 20.0, 20.0))


def test_the_part_that_may_show_a_face_is_larger_of_somebody_cut_off_at_the_waist() -> None:
    assert face_region(STANDING) == (100, 50, 160, 95)
    assert face_region((0.0, 0.0, 100.0, 100.0)) == (0, 0, 100, 60)
