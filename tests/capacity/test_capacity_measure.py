"""One short run of real cameras, and what it counts."""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
from fakes import ScriptedSource, picture
from made_scenes import FOUND_BY_HAAR

from toolkit.capacity.config import CapacityConfig
from toolkit.capacity.grid import with_settings
from toolkit.capacity.later import BegunLater
from toolkit.capacity.machines import Machines
from toolkit.capacity.measure import Machine
from toolkit.capacity.others import Others
from toolkit.capacity.views import View, offline_answers, views_of
from toolkit.data.scenes import make_scene
from toolkit.errors import ConfigError
from toolkit.experiment import LiveConfig
from toolkit.live.detect import HaarDetector
from toolkit.live.pipeline_config import PipelineConfig
from toolkit.records import Detection, Prediction

CONFIG = CapacityConfig(seconds=1.0, warm_up_s=0.2, most_p99_ms=60_000)


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    files = make_scene(FOUND_BY_HAAR).write(tmp_path_factory.mktemp("scene"))
    return [View("view-1", files.film(1), files.truth(1))]


def says_male(crops):
    return [Prediction("male", 0.9, 30.0, 4.0) for _ in crops]


class Slow(HaarDetector):
    """Half a second a picture, where one comes every 100 ms."""

    def __call__(self, images):
        time.sleep(0.5)
        return super().__call__(images)


class OneOfEach(HaarDetector):
    """A face, and the body of somebody else who has turned away."""

    def __call__(self, images):
        turned = Detection((64.0, 4.0, 100.0, 96.0), 0.9, "body")
        return [[Detection((8.0, 8.0, 40.0, 40.0), 0.9), turned] for _ in images]


def machine(views, detect, offline=None, predict_bodies=None):
    live = LiveConfig({"view": "x"})
    return Machine(live, CONFIG, views, detect, says_male, offline or {"view-1": []}, predict_bodies)


def test_a_run_says_how_late_how_much_lost_and_how_right(views):
    detect = HaarDetector()
    offline = offline_answers(views, detect, says_male, PipelineConfig())

    row = machine(views, detect, offline).run(2)

    assert row["cameras"] == 2
    assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert 0 <= row["dropped_fraction"] <= 1
    assert row["cpu_ms_per_frame"] > 0
    assert 0 <= row["others_cpu"] <= 1
    assert 0 <= row["streaming_gender_accuracy"] <= 1
    assert row["offline_gender_accuracy"] > 0
    assert row["passed"] == (not row["failures"])


def test_a_detector_that_is_too_slow_shows_as_lost_frames(views):
    row = machine(views, Slow()).run(1)

    assert not row["passed"]
    assert row["dropped_fraction"] > 0.2
    assert any("dropped" in words for words in row["failures"])


def test_without_a_truth_accuracy_is_not_judged(views):
    row = machine([View("video-1", views[0].path)], HaarDetector()).run(1)

    assert row["streaming_gender_accuracy"] is row["offline_gender_accuracy"] is None
    assert row["p99_ms"] > 0


def test_settings_are_held_against_what_the_defaults_say_offline(views, monkeypatch):
    monkeypatch.setattr("toolkit.capacity.machines.views_of", lambda config, on_frame: views)
    monkeypatch.setattr("toolkit.capacity.machines.make_detector", lambda live: HaarDetector())
    monkeypatch.setattr("toolkit.capacity.machines.make_predictor", lambda live: says_male)
    machine_of = Machines(LiveConfig({"view": "x"}), CONFIG)

    # Nobody is large enough to be looked at: whoever was right is so no longer.
    blind = machine_of({"pipeline.smallest_face_px": 1000.0})(1, 0)
    same = machine_of({"pipeline.batch_size": 8})(1, 0)

    assert blind["settings_loss"] > CONFIG.most_accuracy_loss
    assert any("below the defaults" in words for words in blind["failures"])
    assert not blind["passed"]
    assert same["settings_loss"] == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"runtime": "onnxruntime"},
        {"device": "cpu"},
        {"threads": 1},
        {"person_detector": "yolox"},
        {"person_detector": "yolox", "person_detector_longest_side_px": 320},
        {"person_detector": "yolox", "body_checkpoint": "figures.safetensors"},
    ],
)
def test_settings_are_measured_with_the_detector_and_the_models_they_ask_for(views, monkeypatch, settings):
    street = {"pipeline.batch_size": 8}
    film = View("video-1", views[0].path)
    monkeypatch.setattr("toolkit.capacity.machines.views_of", lambda config, on_frame: [film])
    for part in ("detector", "predictor", "body_predictor"):
        monkeypatch.setattr(f"toolkit.capacity.machines.make_{part}", lambda live, part=part: (part, live))
    asked = []
    monkeypatch.setattr("toolkit.capacity.machines.Machine", lambda *given: asked.append(given))
    machine_of = Machines(LiveConfig({"view": "x"}), CONFIG)

    for each in ({}, street, settings, settings | street):
        machine_of(each)

    defaults, with_street, other, other_with_street = [(given[3], given[4], given[6]) for given in asked]
    wanted = with_settings(LiveConfig({"view": "x"}), settings)
    assert defaults == with_street
    assert other == other_with_street
    assert other == (("detector", wanted), ("predictor", wanted), ("body_predictor", wanted))


def test_a_model_for_bodies_is_asked_in_a_run_as_in_a_live_one(views):
    asked = []

    def of_bodies(crops):
        asked.extend(crops)
        return says_male(crops)

    machine([View("video-1", views[0].path)], OneOfEach(), predict_bodies=of_bodies).run(1)

    assert asked


def test_videos_of_ones_own_must_be_there(views, tmp_path):
    [view] = views_of(CapacityConfig(videos=(str(views[0].path),)))

    assert (view.path, view.truth) == (views[0].path, None)
    with pytest.raises(ConfigError, match="no such video"):
        views_of(CapacityConfig(videos=(str(tmp_path / "nowhere.mp4"),)))


def test_what_others_take_of_the_cores_is_told():
    others = Others()

    spin = "import time; end = time.monotonic() + 1; exec('while time.monotonic() < end: pass')"
    subprocess.run([sys.executable, "-c", spin], check=True)

    assert 0.4 / psutil.cpu_count() < others.share() <= 1


def test_a_quota_of_cpu_time_does_not_make_the_neighbours_share_larger(monkeypatch):
    neighbours = SimpleNamespace(busy_s=0.0)
    idle = SimpleNamespace(_asdict=lambda: {"user": 0.0, "idle": 0.0})
    busy = SimpleNamespace(_asdict=lambda: {"user": neighbours.busy_s, "idle": 0.0})
    monkeypatch.setattr("toolkit.cores._quota", lambda cgroup: 2.0)
    monkeypatch.setattr("psutil.Process.cpu_affinity", lambda self: list(range(64)), raising=False)
    monkeypatch.setattr("psutil.cpu_times", lambda percpu: [busy] * 3 + [idle] * 61)
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(
        "toolkit.capacity.others.time",
        SimpleNamespace(monotonic=lambda: next(clock), process_time=lambda: 0.0),
    )
    others = Others()
    neighbours.busy_s = 10.0

    assert others.share() == pytest.approx(3 / 64)


def test_a_camera_that_begins_later_waits_once_and_ends_at_once_when_closed():
    source = BegunLater(ScriptedSource([picture(1), picture(2)]), after_s=0.05)
    began = time.monotonic()

    assert source.read() is not None
    assert time.monotonic() - began >= 0.05
    assert (source.address, source.is_live, source.fps, source.size_wh) == ("script", False, None, (64, 48))
    waiting = BegunLater(ScriptedSource([picture(1)]), after_s=60.0)
    reader = threading.Thread(target=waiting.read)
    reader.start()
    waiting.close()
    reader.join(10)
    assert not reader.is_alive()
