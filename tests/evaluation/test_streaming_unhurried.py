"""The street without a clock, what its answers are worth when they come late, and the pictures of that."""

from functools import partial

import numpy as np
import pytest
from fakes import EchoModel, FixedDetector, picture
from made_truth import oracle, standing, truth_of

from toolkit.errors import DataError, ShapeError
from toolkit.evaluation.streaming.align import align
from toolkit.evaluation.streaming.figures import accuracy_against_latency, screen_over_time
from toolkit.evaluation.streaming.price import price_of_latency
from toolkit.evaluation.streaming.scores import over_time
from toolkit.evaluation.streaming.simulate import delayed
from toolkit.evaluation.streaming.unhurried import unhurried
from toolkit.live.pipeline_config import PipelineConfig
from toolkit.records import Detection, Frame, Prediction


def frames(count=50, fps=10.0, media=True):
    return [Frame("door", n, 1e6, picture(40), n / fps if media else None) for n in range(count)]


def test_every_frame_is_answered_at_its_own_time_and_the_same_twice():
    said = [list(unhurried(frames(), FixedDetector(), EchoModel(), PipelineConfig())) for _ in range(2)]

    assert said[0] == said[1]
    assert [answer.latency_s for answer in said[0]] == [0.0] * 50
    assert {face.track_id for answer in said[0] for face in answer.faces} == {1}
    assert said[0][0].faces[0].age_years == pytest.approx(40.0)


def test_people_are_looked_at_again_by_the_time_of_the_frames():
    model = EchoModel()

    list(unhurried(frames(100), FixedDetector(), model, PipelineConfig()))

    # Ten seconds: five looks at first, then one in two seconds.
    assert 8 <= len(model.batch_sizes) <= 10


def test_a_frame_without_a_time_of_its_own_is_refused():
    with pytest.raises(DataError, match="has no time of its own"):
        list(unhurried(frames(1, media=False), FixedDetector(), EchoModel(), PipelineConfig()))


def test_what_a_detector_raises_is_raised():
    broken = [Frame("door", 0, 0.0, picture(255), 0.0)]

    with pytest.raises(ValueError, match="no detector can stand"):
        list(unhurried(broken, FixedDetector(), EchoModel(), PipelineConfig()))


def test_a_model_for_bodies_labels_people_whose_face_is_too_small():
    class FarAway(FixedDetector):
        def __call__(self, images):
            return [
                [Detection((30.0, 6.0, 36.0, 12.0), 0.9), Detection((22.0, 4.0, 44.0, 46.0), 0.9, "body")]
            ]

    def of_bodies(crops):
        return [Prediction("male", 0.7, 50.0, 9.0) for _ in crops]

    def said(*models):
        *_, last = unhurried(frames(), FarAway(), *models)
        return [face.gender for face in last.faces]

    assert said(EchoModel(), PipelineConfig()) == [None]
    assert said(EchoModel(), PipelineConfig(), of_bodies) == ["male"]


def test_each_tenth_of_a_second_costs_what_the_definition_says():
    truth = truth_of(lambda n: [standing(0)] if n >= 20 else [])

    rows = price_of_latency({"door": truth}, oracle(truth), [0.0, 0.1, 0.5], until_s=4.0)

    assert [row["gender_accuracy"] for row in rows] == [1.0, 19 / 20, 15 / 20]
    assert [row["staleness_p50_ms"] for row in rows] == pytest.approx([0, 100, 500])


def test_latencies_are_one_for_all_or_one_for_each():
    answers = oracle(truth_of(lambda n: [], frames=3))

    assert [a.latency_s for a in delayed(answers, [0.1, 0.2, 0.3])] == pytest.approx([0.1, 0.2, 0.3])
    with pytest.raises(ShapeError, match="one for each of 3 answers"):
        delayed(answers, [0.1, 0.2])


def test_pictures_show_what_there_is_and_leave_out_what_there_is_not():
    truth = truth_of(lambda n: [standing(0)] if n >= 20 else [])
    answers = oracle(truth, from_frame=15)
    priced = partial(price_of_latency, {"door": truth}, answers, until_s=4.0)

    over = screen_over_time(over_time([align("door", truth, answers)]))
    against = accuracy_against_latency(priced([0.0, 0.2]))

    right, late = over.axes
    assert [len(line.get_xdata()) for line in right.lines] == [2, 2]
    assert np.asarray(late.lines[0].get_xdata()).tolist() == [1.0, 2.0, 3.0]
    assert against.axes[0].lines[0].get_label() == "faces found"
