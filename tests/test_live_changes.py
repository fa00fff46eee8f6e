"""A live run goes on while its cameras, its model and its settings change."""

import threading

import pytest
from fakes import EchoModel, FixedDetector, Opener, picture
from waiting import wait_until

from toolkit.errors import ConfigError, ModelError, SourceError
from toolkit.experiment import LiveConfig
from toolkit.live.people_counter import PeopleCounter
from toolkit.live.pipeline import LivePipeline
from toolkit.live.zones import ZoneConfig
from toolkit.live_changes import Steering, with_camera, with_settings, without_camera
from toolkit.records import Frame, FrameResult, Track

LIVE = LiveConfig({"door": "door", "hall": "hall"})


@pytest.fixture
def street():
    """A street of two cameras that wait, and one more address."""
    hold = threading.Event()
    opener = Opener(True, door=[[picture(1), hold]], hall=[[picture(2), hold]], late=[[picture(3), hold]])
    with LivePipeline(LIVE.cameras, FixedDetector(), EchoModel(), opener=opener) as pipeline:
        yield pipeline


def test_a_camera_comes_and_goes_and_each_is_told(street):
    steering, told = Steering(street, LIVE, lambda live: EchoModel(), print), []

    steering.change(with_camera(steering.live, "late", "late"), told.append)
    wait_until(lambda: street.statistics()["cameras"]["late"]["analysed"] == 1)
    steering.change(without_camera(steering.live, "door"), told.append)

    assert told == ["camera late added: late", "camera door removed"]
    assert list(steering.live.cameras) == ["hall", "late"]
    assert street.statistics()["cameras"]["door"]["state"] == "stopped"


def test_a_camera_that_cannot_be_opened_is_not_there_afterwards(street):
    steering, told = Steering(street, LIVE, lambda live: EchoModel(), print), []
    wanted = with_camera(with_settings(LIVE, batch_size=3), "wrong", "nowhere")

    with pytest.raises(SourceError, match="nowhere is not there"):
        steering.change(wanted, told.append)

    assert set(street.statistics()["cameras"]) == {"door", "hall"}
    assert (steering.live.pipeline.batch_size, steering.live.cameras) == (3, LIVE.cameras)
    assert told == ["batch_size 32 → 3"]


def test_a_runtime_that_does_not_exist_is_refused_at_once():
    with pytest.raises(ConfigError, match="did you mean 'torch'"):
        with_settings(LIVE, runtime="toch")


def test_another_model_is_loaded_only_when_it_is_asked_for(street):
    loaded, told = [], []
    steering = Steering(street, LIVE, lambda live: loaded.append(live.runtime) or EchoModel(), print)

    steering.change(with_settings(LIVE, max_wait_s=0.5, detect_every=4), told.append)
    steering.change(with_settings(steering.live, runtime="torch"), told.append)

    assert loaded == ["torch"]
    assert told == ["max_wait_s 0.01 → 0.5, detect_every 2 → 4", "runtime auto → torch"]
    assert street.config.detect_every == 4


def test_a_model_that_cannot_be_loaded_leaves_the_one_there_is(street):
    def load(live):
        raise ModelError("no such file")

    steering = Steering(street, LIVE, load, print)

    with pytest.raises(ModelError, match="no such file"):
        steering.change(with_settings(LIVE, checkpoint="missing.safetensors"), print)

    assert steering.live == LIVE


def test_a_password_in_an_address_is_not_told(street):
    told = []
    steering = Steering(street, LIVE, lambda live: EchoModel(), print)
    steering.change(with_camera(LIVE, "late", "rtsp://me:secret@door.example/late"), told.append)

    assert told == ["camera late added: rtsp://***@door.example/late"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: with_camera(LIVE, "door", "0"), "already"),
        (lambda: with_camera(LIVE, "a b", "0"), "letters, digits"),
        (lambda: with_camera(LIVE, "new", " "), "where is camera 'new'"),
        (lambda: without_camera(LIVE, "dor"), "did you mean 'door'"),
        (lambda: without_camera(LiveConfig({"door": 0}), "door"), "at least one camera"),
        (lambda: with_settings(LIVE, batch_size=0), "batch_size must be at least 1"),
        (lambda: with_settings(LIVE, batch_sise=2), "did you mean 'batch_size'"),
    ],
)
def test_changes_that_make_no_sense_are_refused_in_words(change, message):
    with pytest.raises(ConfigError, match=message):
        change()


def test_what_holds_for_the_whole_run_cannot_be_changed_in_it(street):
    steering = Steering(street, LIVE, lambda live: EchoModel(), print)

    with pytest.raises(ConfigError, match="duration_s cannot change"):
        steering.change(LiveConfig(LIVE.cameras, duration_s=3), print)
    with pytest.raises(ConfigError, match="'door' has another address"):
        steering.change(LiveConfig({"door": "hall"}), print)


def test_a_camera_that_is_added_is_counted_at_once_and_anew_when_it_is_added_again(street):
    counter, told = PeopleCounter(), []
    steering = Steering(street, LIVE, lambda live: EchoModel(), counter.watch)
    everywhere = {"all": ZoneConfig(((0, 0), (1, 0), (1, 1), (0, 1)))}

    steering.change(with_camera(LIVE, "late", "late", zones=everywhere), told.append)

    assert told == ["camera late added: late", "counted now: late/all"]
    counter(FrameResult(Frame("late", 0, 0.0, picture(3)), (Track(1, (1, 1, 9, 9), 0.9, 5),), 0.1))
    assert counter.counts("late")["zones"]["all"]["inside"] == 1
    steering.change(without_camera(steering.live, "late"), told.append)
    assert counter.counts("late")["zones"] == {}


def test_a_camera_takes_its_zones_with_it():
    live = LiveConfig(LIVE.cameras, zones={"door": {"till": ZoneConfig(((0, 0), (1, 0), (1, 1)))}})

    assert without_camera(live, "door").zones == {}
