"""The dashboard over a street of fakes, recorded in a real store."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import EchoModel, FixedDetector, Opener, picture
from mlflow import MlflowClient
from waiting import wait_until

from toolkit.errors import ConfigError, SourceError
from toolkit.experiment import Experiment, LiveConfig
from toolkit.live.pipeline import LivePipeline, PipelineConfig
from toolkit.live.zones import ZoneConfig
from toolkit.notebook.controls import Controls
from toolkit.notebook.dashboard import LiveDashboard
from toolkit.notebook.runs import newest_runs, rates_of_run
from toolkit.notebook.shown_run import DashboardConfig
from toolkit.notebook.state import DashboardState
from toolkit.notebook.wall import Wall


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def dashboard(store, tmp_path, monkeypatch):
    """Makes dashboards over scripted cameras, and closes them."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    made = []

    def make(duration_s=None, detect=None, address="{}", zones=None, load=None, **scripts) -> LiveDashboard:
        parts = {"detect": detect or FixedDetector(), "predict": EchoModel(), "opener": Opener(**scripts)}

        def make_pipeline(config, listeners):
            return LivePipeline(config.cameras, config=config.pipeline, listeners=listeners, **parts)

        cameras = {name: address.format(name) for name in scripts}
        live = LiveConfig(cameras=cameras, duration_s=duration_s, zones=zones or {})
        config = DashboardConfig(width_px=640, pictures_per_s=30)
        made.append(LiveDashboard(Experiment("fakes", live=live), tmp_path, config, make_pipeline, load))
        return made[-1]

    yield make
    for one in made:
        one.close()


def endless():
    """Pictures that change, until somebody closes the source."""
    for number in itertools.count():
        time.sleep(0.01)
        yield picture(number % 200)


def count_changes(dashboard: LiveDashboard) -> list[bytes]:
    pictures: list[bytes] = []
    dashboard.panel.wall_image.observe(lambda change: pictures.append(change["new"]), "value")
    return pictures


def shows_rates(dashboard: LiveDashboard) -> bool:
    plot = dashboard.panel.plots_html.value
    # The first plot is that of the rates.
    return 'points=""' not in plot.partition("</figure>")[0]


def test_a_run_is_shown_while_it_is_on_and_recorded_when_it_is_stopped(dashboard):
    board = dashboard(door=[endless()], hall=[endless()])
    pictures = count_changes(board)
    board.start()
    wait_until(lambda: len(pictures) > 10 and shows_rates(board), 60)

    assert board.state is DashboardState.LIVE
    assert board.stop()

    assert "<th>hall</th>" in board.panel.table_html.value
    assert board.panel.plots_html.value.partition("</figure>")[0].count("<polyline") == 2
    assert newest_runs(1)["status"].tolist() == ["FINISHED"]
    assert set(rates_of_run(board.report.statistics["mlflow_run_id"])["camera"]) == {"door", "hall"}


def test_the_buttons_stop_a_run_and_start_another(dashboard):
    board = dashboard(door=[endless(), endless()])
    runs = []
    for _ in range(2):
        board.panel.controls.start_button.click()
        board.watch(0.1)
        assert board.state is DashboardState.LIVE
        board.panel.controls.stop_button.click()
        wait_until(lambda: board.state is DashboardState.OVER, 30)
        runs.append(board.report.statistics["mlflow_run_id"])

    assert len(set(runs)) == 2
    assert runs[-1] in board.panel.status_html.value


def test_a_button_can_be_pressed_only_when_it_does_something(dashboard):
    board = dashboard(door=[endless()])
    usable = [(not board.panel.controls.start_button.disabled, not board.panel.controls.stop_button.disabled)]
    board.start()
    board.watch(0.05)
    usable.append(
        (not board.panel.controls.start_button.disabled, not board.panel.controls.stop_button.disabled)
    )
    board.close()
    usable.append(
        (not board.panel.controls.start_button.disabled, not board.panel.controls.stop_button.disabled)
    )

    assert usable == [(True, False), (False, True), (False, False)]


def test_a_start_while_a_run_is_on_changes_nothing(dashboard):
    board = dashboard(door=[endless()])
    board.start()
    board.watch(0.05)
    board.start()

    assert [t.name for t in threading.enumerate()].count("dashboard") == 1


def test_a_run_ends_with_its_cameras_or_its_time(dashboard):
    ended = dashboard(door=[[picture(1)] * 5])
    ended.start()
    ended.watch()
    timed = dashboard(duration_s=0.3, door=[endless()])
    timed.start()
    timed.watch()

    assert ended.report.statistics["cameras"]["door"]["analysed"] == 5
    assert 0.3 <= timed.report.statistics["elapsed_s"] < 3


def test_faces_are_shown_only_when_asked_and_never_kept(dashboard):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    board = dashboard(door=[[noise, threading.Event()]])
    board.start()
    board.watch(0.3)
    blurred = detail_in_face(board.panel.wall_image.value)

    board.panel.controls.blur_toggle.value = False

    assert detail_in_face(board.panel.wall_image.value) > 1.5 * blurred
    assert detail_in_face(board.snapshot().data) == pytest.approx(blurred, rel=0.1)


def detail_in_face(jpeg: bytes) -> float:
    """How much neighbouring pixels differ where the detector has its face, scaled as the wall is."""
    wall = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).astype(float)
    face = wall[100:260, 180:340]
    return float(np.abs(np.diff(face, axis=1)).mean())


def test_a_dashboard_made_anew_ends_the_run_of_the_old_one(dashboard):
    old = dashboard(door=[endless()])
    old.start()
    old.watch(0.2)
    new = dashboard(door=[endless()])
    new.start()
    new.watch(0.1)

    assert (old.state, new.state) == (DashboardState.OVER, DashboardState.LIVE)
    assert old.report.statistics["mlflow_run_id"] in old.panel.status_html.value


def test_the_numbers_of_stages_zones_and_the_machine_are_shown(dashboard):
    zones = {"door": {"till": ZoneConfig(((0, 0), (1, 0), (1, 1), (0, 1)))}}
    board = dashboard(zones=zones, door=[[picture(n) for n in range(8)]])
    board.start()
    board.watch()

    panel = board.panel
    assert "<th>detect</th>" in panel.stages_html.value
    assert "<th>door, zone till</th>" in panel.places_html.value
    assert "NA" not in panel.places_html.value
    assert " cores, " in panel.machine_html.value
    assert "the recording is over" in panel.table_html.value


def test_a_stuck_browser_does_not_slow_the_run(dashboard):
    stuck, released, detector = threading.Event(), threading.Event(), FixedDetector()
    board = dashboard(detect=detector, door=[endless()])

    def stick(change):
        stuck.set()
        released.wait(60)

    board.panel.wall_image.observe(stick, "value")
    board.start()
    assert stuck.wait(60)
    before = detector.calls

    wait_until(lambda: detector.calls > before + 100, 30)

    released.set()
    assert board.stop()
    assert board.report.statistics["cameras"]["door"]["analysed"] == detector.calls


def test_slow_drawing_leaves_at_least_half_of_the_time_to_the_run(dashboard, monkeypatch):
    draws = []

    def draw(*args):
        draws.append(None)
        enough_s = time.thread_time() + 0.1
        while time.thread_time() < enough_s:
            pass

    monkeypatch.setattr(Wall, "jpeg_if_new", draw)
    board = dashboard(door=[endless()])
    board.start()
    board.watch(1.0)
    board.stop()

    assert 1 <= len(draws) <= 6


def test_a_run_goes_on_when_it_cannot_be_drawn(dashboard, monkeypatch, caplog):
    def draw(*args):
        raise KeyError("a word of somebody else's model")

    monkeypatch.setattr(Wall, "jpeg_if_new", draw)
    board = dashboard(door=[[picture(n) for n in range(20)]])
    board.start()
    board.watch()

    assert board.state is DashboardState.OVER
    assert board.report.statistics["cameras"]["door"]["analysed"] == 20
    assert caplog.text.count("cannot be drawn") == 1


def test_a_run_that_fails_says_why_without_a_password(dashboard, caplog):
    board = dashboard(address="rtsp://admin:secret@door.example/{}", door=[])
    board.start()

    with pytest.raises(SourceError, match="not there"):
        board.watch()

    assert board.state is DashboardState.FAILED
    assert "secret" not in caplog.text
    assert "***@door.example/door is not there" in board.panel.status_html.value
    assert not board.panel.controls.start_button.disabled


def test_a_closed_dashboard_does_not_start_again(dashboard):
    with dashboard(door=[endless()]) as board:
        board.start()
        board.watch(0.05)

    assert board.state is DashboardState.CLOSED
    with pytest.raises(ConfigError, match="make a new one"):
        board.start()


def test_a_closed_dashboard_says_that_it_changes_nothing(dashboard):
    board = dashboard(door=[endless()])
    board.close()

    with pytest.raises(ConfigError, match="this dashboard is closed; make a new one"):
        board.change(batch_size=8)
    board.panel.controls.apply_button.click()

    assert "this dashboard is closed" in board.panel.controls.message_html.value


def test_who_watches_a_closed_dashboard_waits_for_nothing(dashboard):
    board = dashboard(door=[endless()])
    board.close()

    watching = threading.Thread(target=board.watch, daemon=True)
    watching.start()
    watching.join(5.0)

    assert not watching.is_alive()


def test_it_stops_before_it_was_started_and_twice(dashboard):
    board = dashboard(door=[endless()])

    assert board.stop()
    assert board.stop()
    assert board.state is DashboardState.NEW


def test_a_snapshot_is_a_picture_even_before_the_first_run(dashboard):
    image = dashboard(door=[], hall=[]).snapshot()

    assert image.format == "jpeg"
    assert cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR).shape == (180, 640, 3)
    assert "door, hall" in image.alt


def test_an_experiment_without_cameras_is_refused():
    with pytest.raises(ConfigError, match="no part 'live'"):
        LiveDashboard(Experiment("empty"))


@pytest.mark.parametrize("setting", [{"width_px": 4000}, {"pictures_per_s": 0}, {"unseen_s": 0}])
def test_settings_no_browser_can_follow_are_refused(setting):
    with pytest.raises(ConfigError):
        DashboardConfig(**setting)


def click(board: LiveDashboard, name: str, **values) -> None:
    """Fill in what the controls ask for, and press a button."""
    controls = board.panel.controls
    for text, value in values.items():
        widget = controls._settings.get(text) or getattr(controls, text)
        widget.value = value
    getattr(controls, f"{name}_button").click()


def events(board: LiveDashboard) -> str:
    return board.panel.events_html.value


def test_cameras_are_added_and_removed_while_a_run_is_on(dashboard):
    board = dashboard(door=[endless()], late=[endless()])
    board.remove_camera("late")
    board.start()
    board.watch(0.1)
    click(board, "add", name_text="late", address_text="late")
    wait_until(lambda: "<th>late</th>" in board.panel.table_html.value, 30)
    click(board, "remove", camera_menu="door")
    wait_until(lambda: "camera door removed" in events(board), 30)

    board.stop()

    assert list(board.live.cameras) == list(board.panel.controls.camera_menu.options) == ["late"]
    assert {row["text"] for row in board.report.events} == {"camera late added: late", "camera door removed"}
    assert board.report.statistics["cameras"]["late"]["analysed"] > 0


def test_the_camera_somebody_chose_stays_chosen_while_others_come_and_go(monkeypatch):
    controls = Controls(LiveConfig({"door": "door.mp4", "hall": "hall.mp4"}))
    controls.camera_menu.value = "hall"
    sent = []
    monkeypatch.setattr(type(controls.camera_menu), "send_state", lambda menu, key: sent.append(set(key)))

    controls.show(LiveConfig({"door": "door.mp4", "hall": "hall.mp4", "late": "late.mp4"}))

    assert controls.camera_menu.value == "hall"
    # Names and choice travel together: between two messages somebody's next choice would be taken back.
    assert [names >= {"_options_labels", "index"} for names in sent] == [True]
    controls.show(LiveConfig({"late": "late.mp4"}))
    assert controls.camera_menu.value == "late"


def test_what_is_beyond_a_widgets_limit_was_not_changed_by_anybody():
    street = PipelineConfig(batch_size=5000, search_every=2000)
    controls = Controls(LiveConfig({"door": "door.mp4"}, pipeline=street))
    assert controls.asked() == {}

    controls.box.children[0].children[1].children[0].children[3].value = 50.0

    assert controls.asked() == {"max_wait_s": 0.05}


def test_settings_are_changed_while_a_run_is_on_and_the_next_begins_with_them(dashboard):
    board = dashboard(door=[endless(), endless()])
    board.start()
    board.watch(0.1)
    click(board, "apply", batch_size=3, max_wait_ms=25.0, search_every=2)
    wait_until(lambda: "batch_size 32 → 3, max_wait_s 0.01 → 0.025, search_every 1 → 2" in events(board), 30)
    assert board.panel.controls.asked() == {}
    board.stop()

    board.start()
    board.watch(0.1)

    street = board.live.pipeline
    assert (street.batch_size, street.max_wait_s, street.search_every) == (3, 0.025, 2)


def test_another_model_is_loaded_beside_the_run_and_takes_over(dashboard):
    loaded, model = threading.Event(), EchoModel()
    board = dashboard(load=lambda live: loaded.wait(30) and model, door=[endless()])
    pictures = count_changes(board)
    board.start()
    board.watch(0.1)
    click(board, "apply", runtime="torch")
    before = len(pictures)
    wait_until(lambda: len(pictures) > before + 5, 30)
    assert not model.batch_sizes

    loaded.set()

    wait_until(lambda: model.batch_sizes, 30)
    wait_until(lambda: "runtime auto → torch" in events(board), 30)


def test_what_cannot_be_done_is_said_and_the_run_goes_on(dashboard):
    board = dashboard(door=[endless()])
    board.start()
    board.watch(0.1)
    click(board, "add", name_text="door", address_text="0")
    assert "already" in board.panel.controls.message_html.value
    click(board, "add", name_text="wrong", address_text="rtsp://me:secret@there/nowhere")
    wait_until(lambda: "refused" in events(board), 30)

    assert "rtsp://***@there/nowhere is not there" in board.panel.controls.message_html.value
    assert list(board.live.cameras) == ["door"]
    assert board.state is DashboardState.LIVE


def test_what_is_changed_before_the_start_holds_for_it(dashboard):
    board = dashboard(door=[endless()], hall=[endless()])
    click(board, "remove", camera_menu="hall")
    click(board, "apply", batch_size=5)
    click(board, "add", name_text="no name", address_text="0")
    assert "letters, digits" in board.panel.controls.message_html.value
    assert cv2.imdecode(np.frombuffer(board.snapshot().data, np.uint8), 1).shape == (360, 640, 3)
    board.start()
    board.watch(0.1)
    board.stop()

    assert set(board.report.statistics["cameras"]) == {"door"}
    assert board.live.pipeline.batch_size == 5


def test_a_run_ends_when_the_page_that_showed_it_is_closed(dashboard, monkeypatch):
    board = dashboard(door=[endless()])
    board.start()
    board.watch(0.1)
    assert board.state is DashboardState.LIVE

    monkeypatch.setattr(board._audience, "is_gone", lambda: True)

    wait_until(lambda: board.state is DashboardState.OVER, 30)


def test_an_interrupt_while_it_is_watched_ends_the_run(dashboard, monkeypatch):
    board = dashboard(door=[endless()])
    board.start()
    board.watch(0.1)

    wait_for, waited = board._changed.wait_for, []

    def interrupted(*args):
        waited.append(args)
        if len(waited) == 1:
            raise KeyboardInterrupt
        return wait_for(*args)

    monkeypatch.setattr(board._changed, "wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt):
        board.watch(60)

    assert board.state is DashboardState.OVER
    assert not board.is_running


def test_a_stop_that_was_interrupted_can_be_waited_for_again(dashboard, monkeypatch):
    board, go_on, stop = dashboard(door=[endless()]), threading.Event(), LivePipeline.stop

    def stop_slowly(pipeline, *given):
        os.kill(os.getpid(), signal.SIGINT)
        return go_on.wait(30) and stop(pipeline, *given)

    monkeypatch.setattr(LivePipeline, "stop", stop_slowly)
    board.start()
    board.watch(seconds=0.2)
    with pytest.raises(KeyboardInterrupt):
        board.stop()

    assert board.is_running
    assert not board.stop(timeout_s=0.1)
    go_on.set()
    assert board.stop()
    assert board.state is DashboardState.OVER


_LEFT_RUNNING = """
import itertools, time
from pathlib import Path
from fakes import EchoModel, FixedDetector, Opener, picture
from toolkit.experiment import Experiment, LiveConfig
from toolkit.live.pipeline import LivePipeline
from toolkit.notebook.dashboard import LiveDashboard

def make(config, listeners):
    pictures = (picture(number % 200) for number in itertools.count() if time.sleep(0.01) is None)
    parts = {"detect": FixedDetector(), "predict": EchoModel(), "opener": Opener(door=[pictures])}
    return LivePipeline(config.cameras, listeners=listeners, **parts)

board = LiveDashboard(Experiment("left", live=LiveConfig(cameras={"door": "door"})), Path("out"), make=make)
board.start()
board.watch(seconds=0.2)
"""


def test_a_kernel_that_ends_leaves_no_run_behind(store, tmp_path):
    tests = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": store, "PYTHONPATH": str(tests)}

    ended = subprocess.run(
        [sys.executable, "-c", _LEFT_RUNNING], cwd=tmp_path, env=environment, capture_output=True, text=True
    )

    client = MlflowClient(tracking_uri=store)
    [run] = client.search_runs(
        [client.get_experiment_by_name("live").experiment_id], "attributes.run_name LIKE 'left-%'"
    )
    assert run.info.status == "FINISHED", ended.stderr
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
    assert len(list(tmp_path.glob("out/*/door.jpg"))) == 1


def test_a_run_that_is_short_of_time_is_drawn_less_often(dashboard):
    board = dashboard(door=[endless()])
    board.start()
    board.watch(0.3)
    screen = board._screen

    def pause_s(cores: float) -> float:
        screen._seen = {"resources": {"cpu_cores_used": cores, "cpu_cores": 2}}
        screen._is_short = screen._is_short_of_time(screen._seen["resources"])
        return screen._pause_s(0.01)

    board.stop()
    assert (pause_s(cores=1.0), pause_s(cores=2.0)) == (0.0, pytest.approx(1 / 3))
