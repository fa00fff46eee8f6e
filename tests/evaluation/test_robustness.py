"""A model on pictures made worse, and Ctrl-C in the middle of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_faces import face_rows

from toolkit.data.faces import FaceTable
from toolkit.evaluation.faces import predict_faces
from toolkit.evaluation.robustness import measure_robustness
from toolkit.models.predictor import PredictionArrays


class SeesInTheLight:
    """Knows red from blue as long as there is light; raises Ctrl-C when it is told to."""

    def __init__(self, calls_until_ctrl_c: int | None = None) -> None:
        self.calls = 0
        self._last_call = calls_until_ctrl_c

    def predict_arrays(self, crops: list[np.ndarray]) -> PredictionArrays:
        self.calls += 1
        if self.calls == self._last_call:
            raise KeyboardInterrupt
        middles = [crop[crop.shape[0] // 2 - 2 :, crop.shape[1] // 2 - 2 :][:4, :4] for crop in crops]
        red = [float(m[..., 2].mean() - m[..., 0].mean()) for m in middles]
        distribution = np.zeros((len(crops), 101), np.float32)
        distribution[:, 25] = 1.0
        female = np.array([1.0 if r > 8 else 0.0 for r in red], np.float32)
        return PredictionArrays(female, np.full(len(crops), 25.0), np.zeros(len(crops)), distribution)


FACES = FaceTable("made", Path("made.parquet"), face_rows(24))


def test_scores_fall_where_pictures_get_worse():
    model, seen = SeesInTheLight(), []
    clean = predict_faces(model, FACES)

    measured = measure_robustness(
        model, FACES, clean, ["night", "jpeg"], on_progress=lambda *told: seen.append(told)
    )

    told = measured.as_plain()
    assert told["clean"]["gender_accuracy"] == 1.0
    night = [told["by_corruption"]["night"][str(severity)]["gender_accuracy"] for severity in range(1, 6)]
    assert night[0] == 1.0
    assert night[-1] < 1.0
    assert told["mean_fall"]["night"] == 1.0 - np.mean(night)
    assert seen == [(name, 24 * severity, 120) for name in ("night", "jpeg") for severity in range(1, 6)]
    assert not told["was_interrupted"]


def test_ctrl_c_keeps_the_corruptions_that_are_complete():
    model = SeesInTheLight(calls_until_ctrl_c=9)
    clean = predict_faces(model, FACES)

    measured = measure_robustness(model, FACES, clean, ["blur", "jpeg", "night"])

    assert list(measured.by_corruption) == ["blur"]
    assert measured.was_interrupted
    assert model.calls == 9
