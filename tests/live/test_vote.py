"""Many predictions, one label."""

import math

import pytest

from toolkit.live.vote import Vote
from toolkit.records import Prediction


def says(gender: str, probability: float, age: float = 30.0) -> Prediction:
    return Prediction(gender, probability, age, 5.0)


def shown_after(vote: Vote, *predictions: Prediction) -> list[str]:
    shown = []
    for prediction in predictions:
        vote.add(prediction, weight=1.0)
        shown.append(vote.result().gender)
    return shown


def test_a_vote_is_the_mean_by_weight():
    vote = Vote()
    vote.add(says("female", 0.9, age=20.0), weight=30.0)
    vote.add(says("male", 0.6, age=40.0), weight=10.0)

    label = vote.result()

    assert label.gender == "female"
    assert label.gender_probability == pytest.approx((30 * 0.9 + 10 * 0.4) / 40)
    assert label.age_years == pytest.approx(25.0)
    assert label.age_spread_years == pytest.approx(5.0)


def test_a_label_does_not_flicker_around_even_odds():
    doubtful = [says("male" if n % 2 == 0 else "female", 0.6) for n in range(40)]

    assert set(shown_after(Vote(switch_margin=0.05), says("female", 0.6), *doubtful)) == {"female"}


def test_one_bad_crop_changes_nothing_however_sure_the_model_is():
    vote = Vote(switch_streak=2)

    shown = shown_after(vote, says("female", 0.55), says("male", 1.0), says("female", 0.55))

    assert shown == ["female"] * 3


def test_a_label_between_the_odds_is_never_more_than_even():
    vote = Vote(switch_streak=3)
    shown_after(vote, says("female", 0.55), says("male", 0.95))

    assert vote.result() == Prediction("female", 0.5, 30.0, 5.0)


def test_a_label_changes_when_the_evidence_does():
    vote = Vote(switch_margin=0.05, switch_streak=2)

    shown = shown_after(vote, says("female", 0.6), *[says("male", 0.95)] * 10)

    assert shown[:3] == ["female", "female", "male"]
    assert set(shown[2:]) == {"male"}
    assert vote.result().gender_probability > 0.8


def test_a_streak_alone_does_not_change_a_label_that_rests_on_much():
    sure, doubtful = [says("female", 0.99)] * 20, [says("male", 0.55)] * 5

    assert set(shown_after(Vote(switch_streak=2), *sure, *doubtful)) == {"female"}


@pytest.mark.parametrize("odd", [says("male", math.nan), says("male", 0.9, age=math.inf)])
def test_what_is_not_finite_is_refused_and_spoils_nothing(odd):
    vote = Vote()
    vote.add(says("female", 0.9), weight=1.0)

    with pytest.raises(ValueError, match="finite"):
        vote.add(odd, weight=1.0)

    assert vote.result() == says("female", 0.9)
    assert vote.count == 1


def test_there_is_no_label_before_the_first_prediction():
    assert Vote().result() is None
