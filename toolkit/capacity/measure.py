"""One run of so many cameras: how late, how much is lost, and how right the screen is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from toolkit.capacity.config import CapacityConfig
from toolkit.capacity.later import BegunLater
from toolkit.capacity.others import Others
from toolkit.capacity.views import View
from toolkit.cores import usable_cores
from toolkit.errors import SourceError
from toolkit.evaluation.streaming.answers import Answer
from toolkit.evaluation.streaming.recording import AnswerLog, recording_of
from toolkit.evaluation.streaming.scores import score_streaming
from toolkit.experiment import LiveConfig
from toolkit.live.detect import FaceDetector
from toolkit.live.inference import Predict
from toolkit.live.pipeline import LivePipeline
from toolkit.live.source import Address, Source, open_source

# After their first votes people are looked at again every half second (``unsure_again_s``). Of cameras that
# all began within a frame these looks would fall together: to real cameras people come at any time.
_LATEST_START_S = 0.5

# And no more than so much of a short run: what the last ones to begin have not seen at its end is not scored.
_STARTING_SHARE = 1 / 8

# Nor are the last frames, whose answers are still on their way.
_EDGE_S = 0.1


class Machine:
    """This machine, with a detector and a model that are loaded once, under any number of cameras.

    Args:
        live: settings of the street; its cameras are not looked at.
        config: of the search.
        views: what the cameras show.
        detect: finds faces.
        predict: see :data:`toolkit.live.inference.Predict`.
        offline: view to its answers without a clock, which the streaming accuracy is held against.
        predict_bodies: see :class:`LivePipeline`.
    """

    def __init__(
        self,
        live: LiveConfig,
        config: CapacityConfig,
        views: Sequence[View],
        detect: FaceDetector,
        predict: Predict,
        offline: Mapping[str, Sequence[Answer]],
        predict_bodies: Predict | None = None,
    ) -> None:
        self._live, self._config = live, config
        self._views = list(views)
        self._detect, self._predict, self._predict_bodies = detect, predict, predict_bodies
        self._offline = offline
        self._latest_start_s = min(_LATEST_START_S, _STARTING_SHARE * config.seconds)

    def run(self, cameras: int, number: int = 0) -> dict[str, Any]:
        """Play so many cameras at their own pace, and measure.

        Args:
            cameras: how many; camera k shows view k modulo the number of views.
            number: of the run; each begins its cameras at other moments.

        Returns:
            ``cameras``, ``p50_ms``, ``p99_ms`` (capture to result), ``dropped_fraction``, ``frames_per_s``,
            ``cpu_ms_per_frame``, ``others_cpu`` (see :class:`Others`), ``streaming_gender_accuracy``,
            ``offline_gender_accuracy``, ``failures`` (the bounds that are broken, in words) and ``passed``.

        Raises:
            SourceError: a film cannot be opened, or none can be played on.
        """
        config = self._config
        in_turn = [self._views[k % len(self._views)] for k in range(cameras)]
        shown = {f"{view.name}.{k}": view for k, view in enumerate(in_turn)}
        log = AnswerLog()
        street = LivePipeline(
            {name: str(view.path) for name, view in shown.items()},
            detect=self._detect,
            predict=self._predict,
            config=self._live.pipeline,
            camera_config=replace(self._live.camera, realtime=True, loop=True),
            listeners=[log],
            opener=self._opener(list(shown), number),
            predict_bodies=self._predict_bodies,
        )
        with street:
            street.wait(config.warm_up_s)
            before, cpu_s, others = street.statistics(), time.process_time(), Others()
            if street.wait(config.seconds):
                raise SourceError("every film ended in the middle of a run; check that they can be played")
            after, cpu_s = street.statistics(), time.process_time() - cpu_s
            row = {"cameras": cameras, "others_cpu": round(others.share(), 4)}
        row |= _speed(log, before, after, cpu_s, config) | self._accuracy(shown, log)
        failures = config.failures(row)
        return row | {"failures": failures, "passed": not failures}

    def _opener(self, names: list[str], number: int) -> Any:
        """Opens films whose cameras begin at moments of their own, as real cameras do."""
        rng = np.random.default_rng((self._config.seed, number, len(names)))
        after_s = dict(zip(names, rng.uniform(0, self._latest_start_s, len(names)).tolist(), strict=True))
        # As many as the street would take: opened by another hand, it cannot say so itself.
        threads = max(1, (self._live.pipeline.workers or usable_cores()) // len(names))
        return partial(_open_later, after_s, threads)

    def _accuracy(self, shown: Mapping[str, View], log: AnswerLog) -> dict[str, float | None]:
        truths = {name: view.truth for name, view in shown.items() if view.truth is not None}
        if not truths:
            return {"streaming_gender_accuracy": None, "offline_gender_accuracy": None}
        recording = recording_of({}, log.rows, {}, {})
        until_s = self._config.warm_up_s + self._config.seconds - self._latest_start_s - _EDGE_S
        offline = [
            replace(answer, camera=name)
            for name, view in shown.items()
            for answer in self._offline[view.name]
        ]
        scores = {
            "streaming": score_streaming(truths, recording.answers, self._config.warm_up_s, until_s),
            "offline": score_streaming(truths, offline, self._config.warm_up_s, until_s),
        }
        return {f"{kind}_gender_accuracy": of["all"]["gender_accuracy"] for kind, of in scores.items()}


def _speed(
    log: AnswerLog,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    cpu_s: float,
    config: CapacityConfig,
) -> dict[str, Any]:
    """What the books and the clock say of the time that is measured."""

    def counted(fate: str) -> int:
        sums = [sum(camera[fate] for camera in when["cameras"].values()) for when in (before, after)]
        return sums[1] - sums[0]

    began_s = min((row["captured_s"] for row in log.rows), default=0.0) + config.warm_up_s
    counting = [row for row in log.rows if row["captured_s"] >= began_s]
    latencies_ms = 1000 * np.array([row["finished_s"] - row["captured_s"] for row in counting])
    p50, p99 = np.percentile(latencies_ms, [50, 99]) if len(counting) else (None, None)
    read, analysed = counted("read"), counted("analysed")
    return {
        "p50_ms": None if p50 is None else round(float(p50), 2),
        "p99_ms": None if p99 is None else round(float(p99), 2),
        "dropped_fraction": (counted("skipped") + counted("failed")) / read if read else 1.0,
        "frames_per_s": analysed / config.seconds,
        "cpu_ms_per_frame": round(1000 * cpu_s / analysed, 3) if analysed else None,
    }


def _open_later(
    after_s: Mapping[str, float], decode_threads: int, address: Address, camera: str, **settings: Any
) -> Source:
    source = open_source(address, camera, decode_threads=decode_threads, **settings)
    return BegunLater(source, after_s[camera])
