"""The demo's clips: rendered anywhere, with a face that detectors find."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from toolkit.data.scenes.demo_clips import render_demo_clips
from toolkit.errors import ConfigError


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return render_demo_clips(tmp_path_factory.mktemp("scenes"), seconds=2.0)


def test_each_clip_is_a_video_of_its_own_size_and_rate(clips: dict[str, Path]) -> None:
    kinds = set()
    for path in clips.values():
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert float(stream.duration * stream.time_base) == pytest.approx(2.0, abs=0.01)
            kinds.add((stream.width, stream.height, int(stream.average_rate)))

    assert next(iter(clips)) == "portrait"
    assert len(kinds) == len(clips) == 3


def test_a_second_call_finds_the_clips_of_the_first(clips: dict[str, Path]) -> None:
    folder = clips["portrait"].parent
    written_at = {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    again = render_demo_clips(folder, seconds=2.0)

    assert again == clips
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == written_at


def test_a_clip_that_could_not_be_finished_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_disk(path: Path, *_: object) -> None:
        path.write_bytes(b"half a clip")
        raise OSError("no space left on device")

    monkeypatch.setattr("toolkit.data.scenes.demo_clips._encode", out_of_disk)
    with pytest.raises(OSError, match="no space"):
        render_demo_clips(tmp_path, seconds=1.0)

    assert list(tmp_path.iterdir()) == []


def test_something_moves_in_every_clip_and_the_loop_has_no_jump(clips: dict[str, Path]) -> None:
    for path in clips.values():
        images = [cv2.resize(image, (160, 90)).astype(int) for image in _pictures(path)]
        step = np.abs(images[1] - images[0]).mean()
        seam = np.abs(images[-1] - images[0]).mean()
        across = np.abs(images[len(images) // 2] - images[0]).mean()

        assert across > 1.0
        assert seam < 3 * step + 1.0


def test_the_haar_cascade_finds_the_portrait_in_most_frames(clips: dict[str, Path]) -> None:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    found = [
        len(cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 1.2, 5, minSize=(60, 60)))
        for image in _pictures(clips["portrait"])[::5]
    ]

    assert np.mean([count >= 1 for count in found]) > 0.8


def test_yunet_finds_the_portrait_and_nobody_else(clips: dict[str, Path], data_dir: Path) -> None:
    model = data_dir / "models" / "face_detection_yunet_2026may.onnx"
    detector = cv2.FaceDetectorYN.create(str(model), "", (1280, 720), score_threshold=0.7)

    found = [detector.detect(image)[1] for image in _pictures(clips["portrait"])[::5]]

    assert np.mean([faces is not None and len(faces) == 1 for faces in found]) > 0.9


def test_a_clip_without_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="positive"):
        render_demo_clips(tmp_path, seconds=0)


def _pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
