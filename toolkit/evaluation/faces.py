"""Still evaluation: a model looks at labelled faces, and what it says is scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from toolkit.evaluation.scores import score_table
from toolkit.evaluation.table import PredictionTable, table_of

if TYPE_CHECKING:
    from toolkit.data.faces import FaceTable
    from toolkit.models.predictor import PredictionArrays

CHUNK_FACES = 256
"""Pictures decoded at a time: bounds memory, and is how often progress is told."""

OnFaces = Callable[[int, int], None]
"""Called with faces done and faces in all."""

Vary = Callable[[list[np.ndarray], int], Sequence[np.ndarray]]
"""Pictures as the model is to see them, from pictures and the number of the first."""


class PredictsArrays(Protocol):
    """What evaluation needs of a model."""

    def predict_arrays(self, crops: list[np.ndarray]) -> PredictionArrays:
        """Predictions of N pictures (H, W, 3), uint8, BGR."""


def evaluate_faces(
    predictor: PredictsArrays, faces: FaceTable, on_progress: OnFaces | None = None
) -> dict[str, Any]:
    """Predict every face of a table and score the predictions.

    Args:
        predictor: the model.
        faces: pictures with labels.
        on_progress: called with faces done and faces in all.

    Returns:
        The scores of :func:`toolkit.evaluation.scores.score_table`, without intervals.
    """
    return score_table(predict_faces(predictor, faces, on_progress))


def predict_faces(
    predictor: PredictsArrays,
    faces: FaceTable,
    on_progress: OnFaces | None = None,
    vary: Vary | None = None,
) -> PredictionTable:
    """What a model says of every face, beside the labels.

    Args:
        predictor: the model.
        faces: pictures with labels.
        on_progress: called with faces done and faces in all.
        vary: what is done to the pictures first.
    """
    parts: list[PredictionArrays] = []
    for start in range(0, len(faces), CHUNK_FACES):
        stop = min(start + CHUNK_FACES, len(faces))
        pictures = [faces.picture(index) for index in range(start, stop)]
        parts.append(predictor.predict_arrays(list(vary(pictures, start)) if vary else pictures))
        if on_progress:
            on_progress(stop, len(faces))
    # An empty table still asks the model once: its answer has the right widths.
    parts = parts or [predictor.predict_arrays([])]
    joined = type(parts[0])(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return table_of(joined, faces)


def score_predictions(predictions: PredictionArrays, faces: FaceTable) -> dict[str, Any]:
    """Score predictions against labels: :func:`toolkit.evaluation.scores.score_table`."""
    return score_table(table_of(predictions, faces))
