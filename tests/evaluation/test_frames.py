"""Results as pandas frames say what the result says."""

from __future__ import annotations

import numpy as np
from made_tables import made_table

from toolkit.evaluation.comparison import compare
from toolkit.evaluation.fairness import fairness_gaps
from toolkit.evaluation.frames import difference_frame, gap_frame, group_frame, score_frame
from toolkit.evaluation.scores import SCORES, score_table

TABLE = made_table(150)
RESULT = score_table(TABLE, resamples=20) | {"gaps": fairness_gaps(TABLE)}


def test_scores_stand_beside_their_intervals_and_their_words():
    frame = score_frame(RESULT)

    assert list(frame.index) == [*SCORES]
    assert frame.loc["cs5", ["from", "to"]].tolist() == RESULT["ci95"]["cs5"]
    assert frame.loc["cs5", "in words"] == "ages at most 5 years off (CS@5)"
    assert score_frame(score_table(TABLE))["from"].isna().all()


def test_groups_gaps_and_differences_keep_their_numbers():
    assert group_frame(RESULT, "race").loc["Blue", "n"] == RESULT["groups"]["race"]["Blue"]["n"]
    gap = RESULT["gaps"]["race"]["gender_accuracy"]
    assert gap_frame(RESULT).loc[("race label", "gender_accuracy"), "gap"] == gap["gap"]
    assert (difference_frame(compare(TABLE, TABLE, 20))["difference"] == 0).all()


def test_no_face_gives_empty_frames():
    none = TABLE.take(np.arange(0))

    assert gap_frame({"gaps": fairness_gaps(none)}).empty
    assert group_frame(score_table(none), "race").empty
