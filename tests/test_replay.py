"""A live run and its replay: the same scores again, and another model on the very same frames."""

import sys
from dataclasses import replace

import pytest
from fakes import EchoModel
from made_scenes import FOUND_BY_HAAR
from waiting import wait_until

from toolkit.cli import main
from toolkit.cli_replay import print_scores
from toolkit.data.scenes import make_scene
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.streaming.recorder import AnswerRecorder, load_recording
from toolkit.evaluation.streaming.scores import score_streaming
from toolkit.experiment import LiveConfig, as_plain
from toolkit.live.camera_config import CameraConfig
from toolkit.live.detect import HaarDetector
from toolkit.live.pipeline import LivePipeline
from toolkit.records import Detection
from toolkit.replay.again import Again
from toolkit.replay.run import keep_scores, run_replay, scores
from toolkit.scene_source import scene_truths


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A recording of two seconds of a scene, its settings, and the frames the live run counted."""
    folder = tmp_path_factory.mktemp("replay")
    files = make_scene(FOUND_BY_HAAR).write(folder / "scene")
    live = LiveConfig({"hall": str(files.film(1))}, camera=CameraConfig(realtime=True))
    with AnswerRecorder(folder / "run.jsonl", {"live": as_plain(live)}, {"hall": files.truth(1)}) as recorder:
        street = LivePipeline(
            live.cameras,
            HaarDetector(),
            EchoModel(),
            live.pipeline,
            live.camera,
            listeners=[recorder],
        )
        with street:
            assert street.wait(timeout_s=60)
        recorder.finish(street.statistics() | {"elapsed_s": 2.0})
    return folder / "run.jsonl", live


def test_a_recorded_run_is_scored_the_same_again_and_again(run):
    recordings = [load_recording(run[0]) for _ in range(2)]

    first, second = (scores(recording, recording.answers) for recording in recordings)

    assert first == second
    assert first["streaming"]["all"]["faces"] > 20
    assert first["without_latency"]["all"]["coverage"] >= first["streaming"]["all"]["coverage"]
    assert first["is_complete"]


def test_the_same_settings_on_the_same_frames_say_what_the_live_run_said(run):
    path, live = run
    recording = load_recording(path)

    again = Again(recording, live, HaarDetector(), EchoModel()).answers()

    # The noise: a live run's votes arrive when the model is done, a replay's before the next frame.
    assert [a.frame_time_s for a in again] == [a.frame_time_s for a in recording.answers]
    assert [a.finished_at_s for a in again] == [a.finished_at_s for a in recording.answers]
    live_scores, replayed = (
        score_streaming(recording.truths, answers, until_s=recording.until_s)["all"]
        for answers in (recording.answers, again)
    )
    assert replayed["detection_recall"] == live_scores["detection_recall"] > 0.1
    assert abs(replayed["coverage"] - live_scores["coverage"]) <= 0.05


def test_what_came_through_a_real_server_is_recorded_and_replayed_alike(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    size = "width=480&height=360&frames_per_s=10&seconds=2"
    people = "persons=3&ways=stand&turning_deg=0&face_px=80-110&entrances_per_s=4&seed=7"
    live = LiveConfig({"hall": f"scene:hall?{size}&{people}&through=rtsp"}, camera=CameraConfig(loop=True))
    truths = scene_truths(live.cameras, loop=True)
    with AnswerRecorder(tmp_path / "run.jsonl", {"live": as_plain(live)}, truths) as recorder:
        settings = (HaarDetector(), EchoModel(), live.pipeline, live.camera)
        with LivePipeline(live.cameras, *settings, listeners=[recorder]) as street:
            wait_until(lambda: street.statistics()["cameras"]["hall"]["analysed"] >= 10, 60)
        recorder.finish(street.statistics() | {"elapsed_s": 2.0})
    recording = load_recording(tmp_path / "run.jsonl")

    again = Again(recording, live, HaarDetector(), EchoModel()).answers()

    assert [a.frame_time_s for a in again] == pytest.approx([a.frame_time_s for a in recording.answers])
    replayed, live_scores = (
        scores(recording, answers)["streaming"]["all"] for answers in (again, recording.answers)
    )
    assert replayed["detection_recall"] == live_scores["detection_recall"] > 0.1


def test_a_film_that_has_become_shorter_is_said_with_the_time_it_lacks(run, tmp_path):
    path, _ = run
    recording = load_recording(path)
    half = make_scene(replace(FOUND_BY_HAAR, seconds=1.0)).write(tmp_path)
    live = LiveConfig({"hall": str(half.film(1))})
    shorter = replace(recording, settings={"live": as_plain(live)})
    again = Again(shorter, live, HaarDetector(), EchoModel())

    with pytest.raises(DataError, match=r"camera hall ends before 1\.\d+ s, where the run had an answer"):
        again.answers()
    with pytest.raises(DataError, match=r"camera hall ends before 1\.900 s, where its truth has a picture"):
        again.offline()


def test_another_detector_is_scored_at_the_recorded_times(run):
    path, live = run
    recording = load_recording(path)

    class Blind(HaarDetector):
        def __call__(self, images):
            return [[] for _ in images]

    seen = []
    again = Again(recording, live, Blind(), EchoModel(), lambda *done: seen.append(done)).answers()

    assert score_streaming(recording.truths, again)["all"]["detection_recall"] == 0.0
    assert len(again) == len(recording.answers)
    assert seen[-1] == (len(again), len(again))


def test_a_model_for_bodies_is_asked_again_too(run):
    path, live = run
    asked = []

    class Turned(HaarDetector):
        def __call__(self, images):
            return [[Detection((40.0, 20.0, 120.0, 200.0), 0.9, "body")] for _ in images]

    def of_bodies(crops):
        asked.extend(crops)
        return EchoModel()(crops)

    Again(load_recording(path), live, Turned(), EchoModel(), predict_bodies=of_bodies).offline()

    assert asked


def test_offline_every_frame_is_answered_at_its_own_time(run):
    path, live = run
    recording = load_recording(path)

    offline = Again(recording, live, HaarDetector(), EchoModel()).offline()

    assert len(offline) == 20
    assert all(answer.latency_s == 0 for answer in offline)


def test_a_replay_refuses_what_it_cannot_do(run, tmp_path):
    path, _ = run
    bare = tmp_path / "bare.jsonl"
    bare.write_bytes(path.read_bytes())

    with pytest.raises(DataError, match="no truth beside it"):
        run_replay(bare)
    with pytest.raises(ConfigError, match="changes settings of the live run"):
        run_replay(path, ["train.epochs=3"])
    with pytest.raises(ConfigError, match="did you mean 'checkpoint'"):
        run_replay(path, ["live.checkpont=best.safetensors"])


def test_the_scores_are_printed_side_by_side_with_the_worst_camera(run, capsys):
    recording = load_recording(run[0])
    two = dict.fromkeys(("hall", "dark"), recording.truths["hall"])
    both = replace(recording, truths=two, until_s={"hall": 2.0, "dark": 2.0}, statistics={})

    print_scores(scores(both, recording.answers))

    said = capsys.readouterr()
    assert "on the screen" in said.out
    assert "without latency" in said.out
    assert "worst camera: dark, gender 0.0%" in said.out
    assert "broken off" in said.err


def test_of_recordings_as_fast_as_they_go_nothing_is_said_of_the_screen(run, capsys, monkeypatch):
    path, live = run
    recording = load_recording(path)
    fast = as_plain(replace(live, camera=CameraConfig(realtime=False)))
    result = scores(replace(recording, settings={"live": fast}), recording.answers)
    kept = {}
    monkeypatch.setattr("toolkit.replay.run.add_to_run", lambda run_id, values: kept.update(values))

    print_scores(result)
    keep_scores("run", result)

    said = capsys.readouterr()
    assert result["streaming"] is result["over_time"] is result["streaming_gender_accuracy"] is None
    assert result["without_latency"] == scores(recording, recording.answers)["without_latency"]
    assert "on the screen" not in said.out
    assert "no score of the screen: the recordings were read as fast as they go" in said.err
    assert {name.partition("/")[0] for name in kept} == {"without_latency"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay", "nowhere.jsonl"], "no such recording"),
        (["replay", "a.jsonl", "b.jsonl"], "one recording at a time"),
        (["live", "-c", "hall=scene:hall", "--record", "hall.1"], "ends in .jsonl, such as hall.1.jsonl"),
        (["capacity", "capacity.sconds=3"], "did you mean 'seconds'?"),
        (["capacity", "a.yaml", "b.yaml"], "one experiment at a time"),
        (["capacity", "capacity.most_dropped=3"], "a share from 0 to 1"),
        (["tune", "--out", "out", "tune.grid={pipeline.serch_every: [1]}"], "did you mean 'search_every'?"),
    ],
)
def test_a_mistake_on_the_command_line_is_named_before_anything_runs(
    words, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["toolkit", *words])

    with pytest.raises(SystemExit, match="1"):
        main()

    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
