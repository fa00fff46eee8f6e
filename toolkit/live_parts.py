"""The parts an experiment asks for: its detectors, its models, its street."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np

from toolkit.errors import ModelError
from toolkit.experiment import LiveConfig
from toolkit.live.detect import FaceDetector, FacesAndBodies, HaarDetector, YuNetDetector
from toolkit.live.inference import Predict
from toolkit.live.pipeline import Listener, LivePipeline
from toolkit.models.catalogue import find_model
from toolkit.models.detector.finder import FaceFinder
from toolkit.models.persons.finder import PersonFinder
from toolkit.models.persons.runtimes import RUNTIMES as PERSON_RUNTIMES
from toolkit.models.predictor import Predictor

logger = logging.getLogger(__name__)

FACE_ODDS = 0.35
"""At the score that starts a track ours then gives a third of YuNet's false alarms on made pictures
(``experiments/compare_detectors.py --made 100`` prints both): a person who is none costs more than one who is
found a moment later."""

MakePipeline = Callable[[LiveConfig, Iterable[Listener]], LivePipeline]
"""See :func:`make_pipeline`."""

MakePredictor = Callable[[LiveConfig], Predict]
"""See :func:`make_predictor`."""


def make_detector(config: LiveConfig) -> FaceDetector:
    """What finds the people an experiment asks for: their faces, and their bodies where it asks for these.

    A face detector "auto" falls back to ours, and the log says why.

    Raises:
        ModelError: YuNet or YOLOX is asked for by name, and its file cannot be had.
        ConfigError: there is no such runtime or device here.
    """
    faces = _face_detector(config)
    return faces if config.person_detector == "none" else FacesAndBodies(faces, _person_detector(config))


def _person_detector(config: LiveConfig) -> PersonFinder:
    # Others, such as torch, cannot read its file.
    runtime = config.runtime if config.runtime in PERSON_RUNTIMES else "auto"
    finder = PersonFinder.load(
        longest_side_px=config.person_detector_longest_side_px, threads=config.threads, runtime=runtime
    )
    # The first size that is opened takes a moment; most cameras are 16:9, and none should wait for that.
    finder([np.zeros((9, 16, 3), np.uint8)])
    return finder


def _face_detector(config: LiveConfig) -> FaceDetector:
    if config.detector == "haar":
        return HaarDetector(config.detector_longest_side_px)
    if config.detector == "ours":
        return _our_detector(config)
    try:
        # Weak faces too: the tracker starts nobody with them, and loses fewer who turn away or blur.
        return YuNetDetector(find_model("yunet"), config.detector_longest_side_px, score_threshold=0.3)
    except ModelError as error:
        if config.detector == "yunet":
            raise
        _warn_once(f"our own detector finds the faces, not YuNet: {error}")
        return _our_detector(config)


@cache
def _warn_once(text: str) -> None:
    """A notebook makes many streets; that YuNet cannot be had is no news from the second one on."""
    logger.warning(text)


def _our_detector(config: LiveConfig) -> FaceFinder:
    side_px = config.detector_longest_side_px
    finder = FaceFinder.load(
        longest_side_px=side_px,
        score_threshold=0.3,
        runtime=config.runtime,
        device=config.device,
        face_odds=FACE_ODDS,
        looks_twice=config.detector_looks_twice,
    )
    # The first size that is opened takes seconds; most cameras are 16:9, and none should wait for that.
    finder.prepare((round(side_px * 9 / 16), side_px))
    return finder


def make_predictor(config: LiveConfig) -> Predictor:
    """The model an experiment asks for, ready to be called.

    Raises:
        ModelError: it cannot be loaded.
        ConfigError: there is no such runtime or device here.
    """
    return _load(config, config.checkpoint)


def make_body_predictor(config: LiveConfig) -> Predictor | None:
    """The model for bodies that an experiment asks for; None where it asks for none.

    Raises:
        ModelError: it cannot be loaded.
        ConfigError: there is no such runtime or device here.
    """
    return None if config.body_checkpoint is None else _load(config, config.body_checkpoint)


def _load(config: LiveConfig, checkpoint: str) -> Predictor:
    predictor = Predictor.load(checkpoint, config.device, threads=config.threads, runtime=config.runtime)
    # The first call of a model prepares its kernels; no camera should wait for that.
    predictor([np.zeros((64, 64, 3), np.uint8)])
    return predictor


def make_pipeline(config: LiveConfig, listeners: Iterable[Listener] = ()) -> LivePipeline:
    """The street an experiment asks for, with its detector and model, not started yet.

    Raises:
        ModelError: the detector or the model cannot be loaded.
    """
    return LivePipeline(
        config.cameras,
        detect=make_detector(config),
        predict=make_predictor(config),
        config=config.pipeline,
        camera_config=config.camera,
        listeners=listeners,
        predict_bodies=make_body_predictor(config),
    )
