"""The task handlers a worker pool has by default: ``gender_age_analysis``."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.crops import cut_crops, xywh_to_xyxy
from toolkit.errors import TaskError

if TYPE_CHECKING:
    from toolkit.models.predictor import Predictor

Handler = Callable[[Mapping[str, Any]], dict[str, Any]]

_loading = threading.Lock()


def handlers() -> dict[str, Handler]:
    """Task type to handler."""
    return {"gender_age_analysis": gender_age_analysis}


def gender_age_analysis(task: Mapping[str, Any]) -> dict[str, Any]:
    """Apparent gender and age of one face.

    Args:
        task: ``frame`` (H, W, 3) uint8 BGR; ``bbox``, the face as (x, y, width, height) in its pixels;
            ``person_id`` and ``camera_id``, given back as they are.

    Returns:
        ``person_id``, ``camera_id``, ``gender``, ``gender_confidence`` (probability of that label), ``age``
        in years, ``age_spread_years`` (standard deviation) and ``age_confidence`` (probability that the age
        lies within 5 years of ``age``, were the distribution normal).

    Raises:
        TaskError: a field is missing, or the box lies outside the frame.
    """
    frame, bbox = _checked(task)
    crops = cut_crops(frame, xywh_to_xyxy(np.array([bbox])), _live_margin())
    if not crops:
        height, width = frame.shape[:2]
        raise TaskError(
            f"bbox (x, y, width, height) = {tuple(bbox)} has no area inside the frame, {width} x {height} px"
        )
    [prediction] = _predictor()([crops[0].image])
    spread = max(prediction.age_spread_years, 1e-6)
    return {
        "person_id": task["person_id"],
        "camera_id": task["camera_id"],
        "gender": prediction.gender,
        "gender_confidence": prediction.gender_probability,
        "age": prediction.age_years,
        "age_spread_years": prediction.age_spread_years,
        "age_confidence": math.erf(5.0 / (spread * math.sqrt(2.0))),
    }


def _checked(task: Mapping[str, Any]) -> tuple[np.ndarray, list[float]]:
    missing = [name for name in ("person_id", "frame", "bbox", "camera_id") if name not in task]
    if missing:
        raise TaskError(f"a gender_age_analysis task needs {', '.join(missing)}; it has {', '.join(task)}")
    frame, bbox = task["frame"], task["bbox"]
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.dtype != np.uint8:
        raise TaskError(f"frame must be an array (H, W, 3) uint8 BGR, got {type(frame).__name__}")
    try:
        box = [float(side) for side in bbox]
    except (TypeError, ValueError):
        box = []
    if len(box) != 4 or not all(map(math.isfinite, box)):
        raise TaskError(f"bbox must be four numbers (x, y, width, height), got {bbox!r}")
    return frame, box


def _predictor() -> Predictor:
    # One model for all workers of the process; a second one would only take memory.
    with _loading:
        return _load_once()


@cache
def _load_once() -> Predictor:
    from toolkit.models.predictor import Predictor

    return Predictor.load("shipped")


def _live_margin() -> float:
    from toolkit.models.preprocess import LIVE_CROP_MARGIN

    return LIVE_CROP_MARGIN
