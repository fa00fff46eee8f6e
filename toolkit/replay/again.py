"""The cameras of a recording once more: the same frames, another model or other settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from toolkit.data.scenes import is_scene, played_from_film
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.streaming.answers import Answer
from toolkit.evaluation.streaming.recording import Recording
from toolkit.evaluation.streaming.unhurried import unhurried
from toolkit.experiment import LiveConfig
from toolkit.live.detect import FaceDetector
from toolkit.live.inference import Predict
from toolkit.live.source import is_live_address, open_source
from toolkit.records import Frame
from toolkit.truth import Truth

# Media times are the same numbers, whichever way a frame was read; a frame lasts longer than this.
_SAME_FRAME_S = 0.002

OnFrame = Callable[[int, int], None]
"""``on_frame(done, total)``, after each frame that is answered anew."""


class Again:
    """The recorded cameras, read once more.

    Args:
        recording: of a live run.
        live: settings of the street.
        detect: finds faces.
        predict: see :data:`toolkit.live.inference.Predict`.
        on_frame: see :data:`OnFrame`.
        predict_bodies: see :class:`toolkit.live.pipeline.LivePipeline`.
    """

    def __init__(
        self,
        recording: Recording,
        live: LiveConfig,
        detect: FaceDetector,
        predict: Predict,
        on_frame: OnFrame = lambda done, total: None,
        predict_bodies: Predict | None = None,
    ) -> None:
        self._recording, self._live = recording, live
        self._detect, self._predict, self._predict_bodies = detect, predict, predict_bodies
        self._on_frame = on_frame
        self._done = 0

    def answers(self) -> list[Answer]:
        """The frames that the run had answered, answered anew, each at the recorded time.

        Raises:
            ConfigError: a camera was live: what it showed cannot be had again.
            DataError: its file is another one now, or ends before the run's last answer.
        """
        told = []
        for camera in self._recording.frames:
            recorded = sorted(
                (a for a in self._recording.answers if a.camera == camera), key=lambda a: a.frame_time_s
            )
            frames = _only(camera, self._frames(camera), [a.frame_time_s for a in recorded])
            for old, new in zip(recorded, self._answer(frames), strict=True):
                told.append(replace(new, finished_at_s=old.finished_at_s))
                self._progress(len(self._recording.answers))
        return told

    def offline(self) -> list[Answer]:
        """Every frame up to the end of the run, each answered at its own time.

        Raises:
            ConfigError: as :meth:`answers`.
            DataError: a camera's file ends before its truth does.
        """
        told = []
        ends = {camera: self._recording.until_s[camera] for camera in self._recording.truths}
        total = sum(_frames_until(self._recording.truths[camera], end) for camera, end in ends.items())
        for camera, end_s in ends.items():
            truth = self._recording.truths[camera]
            for answer in self._answer(_before(camera, self._frames(camera), end_s, truth)):
                told.append(answer)
                self._progress(total)
        return told

    def _answer(self, frames: Iterable[Frame]) -> Iterator[Answer]:
        return unhurried(frames, self._detect, self._predict, self._live.pipeline, self._predict_bodies)

    def _progress(self, total: int) -> None:
        self._done = min(self._done + 1, total)
        self._on_frame(self._done, total)

    def _frames(self, camera: str) -> Iterator[Frame]:
        address = self._recording.settings["live"]["cameras"][camera]
        if is_live_address(address):
            raise ConfigError(f"camera {camera} was {address}: what it showed then cannot be had again")
        if is_scene(address):
            # What a server sent was its film; a client that came a moment later would not see its beginning.
            address = played_from_film(address)
        source = open_source(address, camera, loop=self._live.camera.loop)
        try:
            while (frame := source.read()) is not None:
                yield frame
        finally:
            source.close()


def _only(camera: str, frames: Iterator[Frame], times_s: Sequence[float]) -> Iterator[Frame]:
    """Those of the frames that have one of these media times, which grow."""
    wanted = iter(times_s)
    time_s = next(wanted, None)
    for frame in frames:
        if time_s is None:
            return
        media_s = frame.media_time_s or 0.0
        if abs(media_s - time_s) <= _SAME_FRAME_S:
            yield frame
            time_s = next(wanted, None)
        elif media_s > time_s:
            raise DataError(
                f"camera {camera} shows nothing at {time_s:.3f} s, where the run had an answer: "
                "the file has changed since"
            )
    if time_s is not None:
        raise DataError(
            f"camera {camera} ends before {time_s:.3f} s, where the run had an answer: "
            "the file has changed since"
        )


def _before(camera: str, frames: Iterator[Frame], end_s: float, truth: Truth) -> Iterator[Frame]:
    """Those of the frames before the end of the run; all that the truth knows must be there."""
    media_s = -1.0
    for frame in frames:
        media_s = frame.media_time_s or 0.0
        if media_s >= end_s:
            return
        yield frame
    last_s = float(truth.frame_times_s[truth.frame_times_s < end_s].max(initial=0.0))
    if media_s < last_s - _SAME_FRAME_S:
        raise DataError(
            f"camera {camera} ends before {last_s:.3f} s, where its truth has a picture: "
            "the file has changed since"
        )


def _frames_until(truth: Truth, end_s: float) -> int:
    if truth.is_repeated:
        return round(end_s / truth.duration_s * len(truth))
    return int((truth.frame_times_s < end_s).sum())
