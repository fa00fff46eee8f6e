"""The demo's portrait: rendered anywhere, with a face that detectors find."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from toolkit.data.scenes.portrait import render_portrait
from toolkit.errors import ConfigError


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_portrait(tmp_path_factory.mktemp("portrait"), seconds=1.0)


def test_the_clip_is_a_video_of_its_length(clip: Path) -> None:
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert float(stream.duration * stream.time_base) == pytest.approx(1.0, abs=0.01)
        assert (stream.width, stream.height, int(stream.average_rate)) == (1280, 720, 25)


def test_a_second_call_finds_the_clip_of_the_first(clip: Path) -> None:
    written_at = clip.stat().st_mtime_ns

    assert render_portrait(clip.parent, seconds=1.0) == clip
    assert clip.stat().st_mtime_ns == written_at


def test_a_clip_that_could_not_be_finished_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_disk(path: Path, *_: object) -> None:
        path.write_bytes(b"half a clip")
        raise OSError("no space left on device")

    monkeypatch.setattr("toolkit.data.scenes.portrait.encode_h264", out_of_disk)
    with pytest.raises(OSError, match="no space"):
        render_portrait(tmp_path, seconds=1.0)

    assert list(tmp_path.iterdir()) == []


def test_something_moves_and_the_loop_has_no_jump(clip: Path) -> None:
    images = [cv2.resize(image, (160, 90)).astype(int) for image in _pictures(clip)]
    step = np.abs(images[1] - images[0]).mean()
    seam = np.abs(images[-1] - images[0]).mean()
    across = np.abs(images[len(images) // 2] - images[0]).mean()

    assert across > 1.0
    assert seam < 3 * step + 1.0


def test_the_haar_cascade_finds_the_portrait_in_most_frames(clip: Path) -> None:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    found = [
        len(cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 1.2, 5, minSize=(60, 60)))
        for image in _pictures(clip)[::5]
    ]

    assert np.mean([count >= 1 for count in found]) > 0.8


def test_yunet_finds_the_portrait_and_nobody_else(clip: Path, data_dir: Path) -> None:
    model = data_dir / "models" / "face_detection_yunet_2026may.onnx"
    detector = cv2.FaceDetectorYN.create(str(model), "", (1280, 720), score_threshold=0.7)

    found = [detector.detect(image)[1] for image in _pictures(clip)[::5]]

    assert np.mean([faces is not None and len(faces) == 1 for faces in found]) > 0.9


def test_a_clip_without_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="positive"):
        render_portrait(tmp_path, seconds=0)


def _pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
