"""A scene as a camera: its clock, its truth, and that nothing is composed while it is played."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import EchoModel, FakeClock, FixedDetector
from waiting import wait_until

import toolkit
from toolkit.data.scenes.scene import Scene
from toolkit.errors import SourceError
from toolkit.live.camera_config import CameraConfig
from toolkit.live.source import check_recordings, is_live_address, open_source
from toolkit.records import FrameResult
from toolkit.scene_source import prepare_scenes, scene_truths

_PEOPLE = "persons=3&ways=stand&face_px=36-60&entrances_per_s=3"
_ADDRESS = f"scene:hall?{_PEOPLE}&cameras=2&seconds=1&frames_per_s=10&width=320&height=180"


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Scenes are kept in a folder of the tests, and made once for all of them."""
    folder = str(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("platformdirs.user_cache_dir", lambda *_, **__: folder)
        yield


def test_read_as_fast_as_it_goes_every_frame_comes_with_its_time() -> None:
    source = open_source(_ADDRESS, "hall")

    frames = list(iter(source.read, None))

    assert [frame.media_time_s for frame in frames] == pytest.approx(np.arange(10) / 10)
    assert [source.truth.index_at(frame.media_time_s) for frame in frames] == list(range(10))
    assert (source.size_wh, source.fps, source.is_live, frames[0].camera) == ((320, 180), 10, False, "hall")
    assert not is_live_address(_ADDRESS)


def test_at_its_own_pace_capture_is_the_moment_of_the_scene_and_delay_is_latency() -> None:
    clock = FakeClock()
    source = open_source(f"{_ADDRESS}&jitter_s=0.05", realtime=True, clock=clock)
    source._closing.wait = clock.advance  # type: ignore[method-assign]  # waiting is what moves this clock

    frames, late_s = [], []
    while (frame := source.read()) is not None:
        frames.append(frame)
        late_s.append(clock() - frame.captured_at)

    assert [f.captured_at - f.media_time_s for f in frames] == pytest.approx([source.epoch_at] * 10)
    assert late_s == pytest.approx(source.files.delays_s(1).tolist())
    assert max(late_s) > 0.01


def test_nothing_is_composed_while_it_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_scenes([_ADDRESS])

    def refuse(*_: object) -> None:
        raise AssertionError("a frame was composed while the scene was played")

    monkeypatch.setattr(Scene, "_compose", refuse)
    check_recordings([_ADDRESS, f"{_ADDRESS}&camera=2"])

    assert len(list(iter(open_source(f"{_ADDRESS}&camera=2").read, None))) == 10


def test_a_looped_scene_has_a_truth_that_goes_on() -> None:
    source = open_source(_ADDRESS, loop=True)

    frames = [source.read() for _ in range(15)]
    source.close()

    assert frames[14].media_time_s == pytest.approx(1.4)
    assert source.truth.at(1.4) == source.truth.at(0.4) != ()


def test_through_a_real_server_every_frame_says_when_it_was_filmed() -> None:
    # Looped: a machine that is slow to open it comes in later, at a key frame.
    source = open_source(f"{_ADDRESS}&through=rtsp", loop=True)

    frames = [source.read() for _ in range(8)]
    source.close()

    assert source.is_live
    assert [f.captured_at - f.media_time_s for f in frames] == pytest.approx([source.epoch_at] * 8)
    assert np.diff([frame.media_time_s for frame in frames]).min() > 0.05
    indices = [source.truth.index_at(frame.media_time_s) for frame in frames]
    film = list(iter(open_source(_ADDRESS).read, None))
    for frame, index in zip(frames, indices, strict=True):
        assert np.array_equal(frame.image, film[index].image)
        assert index == 0 or not np.array_equal(frame.image, film[index - 1].image)


def test_pictures_without_a_codec_are_played_too() -> None:
    frames = list(iter(open_source(f"{_ADDRESS}&codec=none").read, None))

    assert frames[3].image.shape == (180, 320, 3)
    assert [frame.media_time_s for frame in frames] == pytest.approx(np.arange(10) / 10)


def test_the_street_runs_on_scenes_and_every_truth_is_known() -> None:
    cameras = {"door": f"{_ADDRESS}&camera=1", "hall": f"{_ADDRESS}&camera=2"}
    results: list[FrameResult] = []
    config = CameraConfig(realtime=False)

    street = toolkit.LivePipeline(
        cameras, FixedDetector(), EchoModel(), camera_config=config, listeners=[results.append]
    )
    with street:
        assert street.wait(30)
    truths = scene_truths({**cameras, "file": "film.mp4"})

    assert set(truths) == {"door", "hall"}
    assert len(results) == 20
    assert all(truths[r.frame.camera].index_at(r.frame.media_time_s) == r.frame.index for r in results)


def test_a_camera_pool_takes_scenes_and_says_what_is_wrong_with_one(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []
    with toolkit.CameraPool() as pool:
        assert pool.add_camera("hall", _ADDRESS, lambda camera, image: seen.append(camera))
        assert not pool.add_camera("hal", "scene:hal")
        wait_until(lambda: len(seen) == 10, timeout_s=30)

    assert "did you mean 'hall'" in caplog.text


def test_a_scene_that_cannot_be_made_is_a_source_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="did you mean 'persons'"):
        open_source("scene:hall?person=3")
    with pytest.raises(SourceError, match="no face pack"):
        open_source(f"scene:hall?faces={tmp_path}/nowhere.parquet")
