"""How a model holds up when pictures get worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.evaluation.corruption import SEVERITIES, corrupt
from toolkit.evaluation.faces import PredictsArrays, predict_faces
from toolkit.evaluation.scores import SCORES, named, weighted_scores
from toolkit.evaluation.table import PredictionTable
from toolkit.evaluation.values import score_columns

if TYPE_CHECKING:
    from toolkit.data.faces import FaceTable


@dataclass
class Robustness:
    """Scores of a model on pictures made worse; filled while it is measured.

    Attributes:
        clean: scores of the same faces as they are.
        faces: how many they are.
        by_corruption: corruption to severity ("1" to "5") to scores.
        was_interrupted: Ctrl-C ended it early; what is there is complete in itself.
    """

    clean: dict[str, float | None]
    faces: int
    by_corruption: dict[str, dict[str, dict[str, float | None]]] = field(default_factory=dict)
    was_interrupted: bool = False

    def as_plain(self) -> dict[str, Any]:
        """For JSON, with ``mean_fall``: of each corruption, how much lower the gender accuracy is on average.

        Source: a mean over severities, as in Hendrycks and Dietterich, ICLR 2019, section 4.1, here not
        divided by another model's.
        """
        clean = self.clean["gender_accuracy"]
        falls = {}
        for name, by_severity in self.by_corruption.items():
            told = [scores["gender_accuracy"] for scores in by_severity.values()]
            if clean is not None:
                falls[name] = clean - float(np.mean([value for value in told if value is not None]))
        return {
            "faces": self.faces,
            "clean": self.clean,
            "by_corruption": self.by_corruption,
            "mean_fall": falls,
            "was_interrupted": self.was_interrupted,
        }


def measure_robustness(
    predictor: PredictsArrays,
    faces: FaceTable,
    clean: PredictionTable,
    corruptions: Sequence[str],
    seed: int = 0,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Robustness:
    """Score a model on the same faces, corrupted in each way at each severity.

    Ctrl-C ends it and keeps the corruptions that are complete.

    Args:
        predictor: the model.
        faces: pictures with labels.
        clean: what the model says of the same faces as they are.
        corruptions: names out of ``CORRUPTION_NAMES``.
        seed: of the chance in the corruptions.
        on_progress: called with the corruption, and faces done and in all, over its severities.
    """
    measured = Robustness(_scores(clean), len(faces))
    total = len(faces) * len(SEVERITIES)
    try:
        for name in corruptions:
            by_severity = {}
            for severity in SEVERITIES:
                before = (severity - 1) * len(faces)

                def note(done: int, _: int, name: str = name, before: int = before) -> None:
                    if on_progress:
                        on_progress(name, before + done, total)

                vary = partial(_corrupted, name, severity, seed)
                by_severity[str(severity)] = _scores(predict_faces(predictor, faces, note, vary))
            measured.by_corruption[name] = by_severity
    except KeyboardInterrupt:
        measured.was_interrupted = True
    return measured


def _corrupted(name: str, severity: int, seed: int, images: list[np.ndarray], first: int) -> list[np.ndarray]:
    return corrupt(images, name, severity, seed, first)


def _scores(table: PredictionTable) -> dict[str, float | None]:
    scores = named(weighted_scores(score_columns(table), np.ones((1, len(table))))[0])
    return {name: scores[name] for name in SCORES}
