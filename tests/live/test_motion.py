"""Where a face will be."""

import pytest

from toolkit.live.motion import Motion, middle_of


def walked(speed_px_per_s: float, every_s: float, seconds: float) -> Motion:
    motion = Motion((0.0, 0.0, 40.0, 40.0), 0.0)
    for step in range(1, round(seconds / every_s) + 1):
        left = speed_px_per_s * step * every_s
        motion.see((left, 0.0, left + 40.0, 40.0), step * every_s)
    return motion


@pytest.mark.parametrize("every_s", [0.04, 0.2])
def test_a_face_is_carried_on_at_its_speed_whatever_the_interval(every_s):
    motion = walked(100.0, every_s, seconds=2.0)

    assert middle_of(motion.box_at(2.2)) == pytest.approx((240.0, 20.0), abs=0.5)


def test_a_face_that_stays_away_waits_where_it_is():
    motion = walked(100.0, 0.04, seconds=2.0)

    assert motion.box_at(5.0) == pytest.approx(motion.box_at(2.3))


def test_a_face_seen_once_is_expected_where_it_was():
    assert Motion((1.0, 2.0, 3.0, 4.0), 10.0).box_at(10.2) == (1.0, 2.0, 3.0, 4.0)


def test_a_trembling_box_is_not_carried_away():
    motion = Motion((100.0, 0.0, 140.0, 40.0), 0.0)
    for step in range(1, 60):
        left = 100.0 + (2.0 if step % 2 else -2.0)
        motion.see((left, 0.0, left + 40.0, 40.0), step / 25)

    assert middle_of(motion.box_at(60 / 25 + 0.2))[0] == pytest.approx(120.0, abs=10.0)


def test_two_sightings_at_one_time_give_no_speed():
    motion = Motion((0.0, 0.0, 10.0, 10.0), 1.0)
    motion.see((5.0, 0.0, 15.0, 10.0), 1.0)

    assert motion.box_at(1.3) == (5.0, 0.0, 15.0, 10.0)
