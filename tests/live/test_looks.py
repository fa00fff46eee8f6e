"""When another look at a person pays."""

import math

import pytest

from toolkit.errors import ConfigError
from toolkit.live.looks import LookConfig, Looks
from toolkit.records import Prediction

SURE = Prediction("female", 0.95, 30.0, 5.0)
UNSURE = Prediction("female", 0.6, 30.0, 5.0)


def reasons(
    config: LookConfig, label: Prediction | None, times_s: list[float], sides_px: list[float]
) -> list:
    looks, found = Looks(config), []
    for at_s, side_px in zip(times_s, sides_px, strict=True):
        found.append(looks.reason(side_px, at_s, label))
        if found[-1]:
            looks.ask(side_px, at_s)
    return found


def test_a_person_is_looked_at_a_few_times_and_then_only_after_a_while():
    times_s = [0.0, 0.1, 0.2, 0.9, 2.1, 2.2]

    found = reasons(LookConfig(votes_wanted=2), SURE, times_s, [40.0] * 6)

    assert found == ["new", "new", None, None, "old", None]


def test_a_larger_face_is_worth_a_look():
    found = reasons(
        LookConfig(votes_wanted=1, look_again_growth=1.5),
        SURE,
        [0.0, 0.1, 0.2, 0.3],
        [40.0, 59.0, 60.0, 60.0],
    )

    assert found == ["new", None, "larger", None]


def test_a_label_that_is_unsure_is_looked_at_sooner():
    config = LookConfig(votes_wanted=1, unsure_below=0.75, unsure_again_s=0.5)

    assert reasons(config, UNSURE, [0.0, 0.4, 0.5, 0.9, 1.0], [40.0] * 5) == [
        "new",
        None,
        "unsure",
        None,
        "unsure",
    ]
    assert reasons(config, None, [0.0, 0.4, 0.5], [40.0] * 3) == ["new", None, None]


def test_a_look_that_did_not_come_about_pays_again():
    looks = Looks(LookConfig(votes_wanted=1))
    looks.ask(40.0, 0.0)
    looks.withdraw()

    assert looks.reason(40.0, 0.1, None) == "new"


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"votes_wanted": 0}, "votes_wanted"),
        ({"votes_wanted": math.nan}, "votes_wanted"),
        ({"unsure_again_s": 3.0, "look_again_s": 2.0}, "unsure_again_s"),
        ({"look_again_growth": 1.0}, "look_again_growth"),
        ({"unsure_below": math.nan}, "unsure_below"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting, named):
    with pytest.raises(ConfigError, match=named):
        LookConfig(**setting)
