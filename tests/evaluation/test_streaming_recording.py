"""A live run's answers as a file: what is read is what was written, and what was broken off is still read."""

import dataclasses

import numpy as np
import pytest
from made_truth import standing, truth_of

from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.streaming.recorder import AnswerRecorder, load_recording, truth_path
from toolkit.evaluation.streaming.recording import AnswerLog, recording_of
from toolkit.evaluation.streaming.scores import score_streaming
from toolkit.records import Frame, FrameResult, Prediction, Track

LABEL = Prediction("female", 0.8, 31.5, 4.0)


def results(camera="door", began_at=500.0, late_s=0.03, frames=20, fps=10.0, media=True):
    """Results of a camera that began at a moment of the run's clock."""
    made = []
    for n in range(frames):
        at = began_at + n / fps
        frame = Frame(camera, n, at, np.zeros((4, 4, 3), np.uint8), n / fps if media else None)
        track = Track(1, (0.0, 0.0, 40.0, 40.0), 0.9, n + 1, LABEL if n else None)
        made.append(FrameResult(frame, (track,), at + late_s))
    return made


def recorded(path, made, truths=None, statistics=None):
    with AnswerRecorder(path, {"live": {"cameras": {"door": "scene:hall"}}}, truths) as recorder:
        for result in made:
            recorder(result)
        if statistics is not None:
            recorder.finish(statistics)
    return load_recording(path)


def test_what_is_read_is_what_was_said(tmp_path):
    recording = recorded(tmp_path / "run.jsonl", results(), statistics={"elapsed_s": 3.0})

    first, second = recording.answers[:2]
    assert (first.camera, first.frame_time_s, first.faces[0].gender) == ("door", 0.0, None)
    assert second.finished_at_s == pytest.approx(0.13)
    face = second.faces[0]
    assert (face.track_id, face.box_xyxy, face.gender) == (1, (0.0, 0.0, 40.0, 40.0), "female")
    assert (face.gender_probability, face.age_years) == (0.8, 31.5)
    assert recording.latencies_s == pytest.approx(np.full(20, 0.03))
    assert recording.until_s["door"] == pytest.approx(3.0)
    assert recording.frames["door"] == tuple(range(20))
    assert recording.settings["live"]["cameras"] == {"door": "scene:hall"}


def test_two_readings_score_alike_and_as_the_run_itself(tmp_path):
    truth = truth_of(lambda n: [standing(0)], frames=20)
    log = AnswerLog()
    for result in results():
        log(result)

    readings = [recorded(tmp_path / f"{n}.jsonl", results(), {"door": truth}) for n in range(2)]
    scores = [score_streaming(r.truths, r.answers, until_s=r.until_s) for r in readings]

    live = recording_of({}, log.rows, {}, {"door": truth})
    assert scores[0] == scores[1] == score_streaming(live.truths, live.answers, until_s=live.until_s)
    assert scores[0]["all"]["gender_accuracy"] == 18 / 20


def test_what_the_network_held_up_counts_as_latency(tmp_path):
    made = results()
    held_up = dataclasses.replace(made[5].frame, captured_at=made[5].frame.captured_at + 0.4)
    made[5] = dataclasses.replace(made[5], frame=held_up, finished_at=made[5].finished_at + 0.4)

    recording = recorded(tmp_path / "run.jsonl", made)

    late = next(answer for answer in recording.answers if answer.frame_time_s == 0.5)
    assert late.latency_s == pytest.approx(0.43)


@pytest.mark.parametrize(
    ("address", "is_paced", "until_s"),
    [("scene:hall", False, 0.4), ("scene:hall?through=rtsp", True, 20.0)],
)
def test_a_recording_read_as_fast_as_it_goes_ends_with_its_last_frame(address, is_paced, until_s):
    truth = truth_of(lambda n: [standing(0)], frames=20)
    log = AnswerLog()
    # Five frames of half a second of film, looked at for twenty.
    for result in results(frames=5):
        log(result)
    settings = {"live": {"cameras": {"door": address}, "camera": {"realtime": False}}}

    recording = recording_of(settings, log.rows, {"elapsed_s": 20.0}, {"door": truth})

    assert recording.is_paced is is_paced
    assert recording.until_s["door"] == pytest.approx(until_s, abs=0.01)


def test_a_camera_that_tells_no_time_begins_with_its_first_frame(tmp_path):
    recording = recorded(tmp_path / "run.jsonl", results(media=False))

    assert [answer.frame_time_s for answer in recording.answers[:3]] == pytest.approx([0.0, 0.1, 0.2])


def test_a_run_that_was_broken_off_is_read_as_far_as_it_goes(tmp_path):
    recorded(tmp_path / "run.jsonl", results())
    text = (tmp_path / "run.jsonl").read_text()
    (tmp_path / "run.jsonl").write_text(text[:-30])

    recording = load_recording(tmp_path / "run.jsonl")

    assert len(recording.answers) == 19
    assert recording.statistics == {}


def test_the_truth_of_an_earlier_recording_is_not_believed(tmp_path):
    truth = truth_of(lambda n: [standing(0)], frames=20)
    path = tmp_path / "run.jsonl"

    first = recorded(path, results(), {"door": truth})
    second = recorded(path, results())

    assert set(first.truths) == {"door"}
    assert second.truths == {}
    assert not truth_path(path).exists()


def test_a_name_that_would_share_its_truth_with_another_is_refused(tmp_path):
    truth = truth_of(lambda n: [standing(0)], frames=20)
    kept = truth_path(tmp_path / "hall.jsonl")
    recorded(tmp_path / "hall.jsonl", results(), {"door": truth})

    with pytest.raises(ConfigError, match=r"ends in \.jsonl, such as hall\.2\.jsonl"):
        AnswerRecorder(tmp_path / "hall.2", {})

    assert [path.name for path in sorted(tmp_path.iterdir())] == ["hall.jsonl", kept.name]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("not json\n", "line 1, is not JSON"),
        ('{"format": 7}\n', "no recording of a live run"),
        ("[1]\n", "no recording"),
        ('{"format": 1, "settings": {}}\n{"camera": "door"}\n', "answer 1 is none of a live run"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, text, said):
    path = tmp_path / "run.jsonl"
    path.write_text(text)

    with pytest.raises(DataError, match=said):
        load_recording(path)


def test_a_recording_that_is_not_there_is_called_missing(tmp_path):
    with pytest.raises(DataError, match="no such recording"):
        load_recording(tmp_path / "nowhere.jsonl")
