"""Roboflow inference: its pipeline over many videos, with a model of one's own."""

from __future__ import annotations

from typing import Any

from inference import InferencePipeline

from toolkit.bench.streets.contender import Street
from toolkit.bench.streets.model import by_hand


class Pipeline(Street):
    """``InferencePipeline.init_with_custom_logic``: it batches over its cameras by itself."""

    def start(self) -> None:
        predict = by_hand(self.task.model, self.task.size_px)
        self._pipeline = InferencePipeline.init_with_custom_logic(
            video_reference=list(self.task.videos),
            on_video_frame=lambda frames: list(predict([frame.image for frame in frames])),
            on_prediction=self._count,
        )
        self._pipeline.start(use_main_thread=False)

    def stop(self) -> None:
        self._pipeline.terminate()
        self._pipeline.join()

    def _count(self, predictions: Any, frames: Any) -> None:
        answers = predictions if isinstance(predictions, list) else [predictions]
        self.counts[0] += sum(answer is not None for answer in answers)
