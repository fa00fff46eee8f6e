"""Recorded runs as frames, from a real store."""

from fnmatch import fnmatchcase

import pandas as pd
import pytest
from fakes import EchoModel, FixedDetector, Opener, picture
from made_tables import made_table
from made_truth import oracle, standing, truth_of

from toolkit.capacity.run import _MEDIANS as MEDIANS
from toolkit.errors import ConfigError, StoreUnavailable
from toolkit.evaluate_run import _metrics as metrics_of_evaluation
from toolkit.evaluation.calibration import calibration_of
from toolkit.evaluation.fairness import fairness_gaps
from toolkit.evaluation.scores import score_table
from toolkit.evaluation.streaming.scores import score_streaming
from toolkit.live.pipeline import LivePipeline
from toolkit.live.watch import live_metrics
from toolkit.replay.run import streaming_metrics
from toolkit.resources import ResourceMeter
from toolkit.run_frames import (
    best_runs,
    camera_history,
    compare_runs,
    find_runs,
    metric_history,
    pareto_front,
    run_frame,
    smaller_is_better,
    with_children,
)
from toolkit.tracking import RunRecord

RUNS = {
    "small": ({"batch": 1}, {"live/fps": 10.0, "live/latency_p99_ms": 20.0}),
    "large": ({"batch": 32}, {"live/fps": 90.0, "live/latency_p99_ms": 80.0}),
    "worse": ({"batch": 33}, {"live/fps": 80.0, "live/latency_p99_ms": 90.0}),
    "other": ({"batch": 2}, {"eval/gender_accuracy": 0.9}),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory, new_store):
    """A store with four live runs, and a sweep of two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path_factory.mktemp("runs")))
        for name, (params, metrics) in RUNS.items():
            record = RunRecord("live", name, params | {"detector": "haar"})
            record.log_metrics(metrics, step=1)
            record.close()
        parent = RunRecord("train", "sweep", {})
        tags = {"mlflow.parentRunId": parent.wait_for_id()}
        for name in ("one", "two"):
            RunRecord("train", name, {}, tags).close()
        parent.close()
        yield


@pytest.fixture(autouse=True)
def in_a_store(store):
    """All of these tests read it."""


def test_a_frame_has_a_row_for_each_run_newest_first():
    runs = run_frame("live")

    assert list(runs["run"]) == ["other", "worse", "large", "small"]
    assert runs.iloc[-1]["params.batch"] == "1"
    assert runs.iloc[-1]["live/fps"] == 10.0
    assert pd.isna(runs.iloc[0]["live/fps"])
    assert list(run_frame(newest=2)["run"]) == ["two", "one"]


def test_an_experiment_that_is_not_there_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'live'"):
        run_frame("lvie")


def test_runs_are_found_by_name_or_by_the_beginning_of_their_id():
    small = find_runs(["small"]).index[0]

    assert list(find_runs([small[:8], "large"])["run"]) == ["small", "large"]
    with pytest.raises(ConfigError, match="did you mean 'small'"):
        find_runs(["smal"])


def test_what_runs_have_in_common_is_left_out_of_their_comparison():
    table = compare_runs(find_runs(["small", "large"]))

    assert list(table.columns) == ["small", "large"]
    assert table.loc["params.batch"].tolist() == ["1", "32"]
    assert table.loc["live/fps"].tolist() == [10.0, 90.0]
    assert "params.detector" not in table.index
    assert "eval/gender_accuracy" not in table.index


def test_a_sweep_stands_for_its_trainings():
    assert set(with_children(find_runs(["sweep", "small"]))["run"]) == {"one", "two", "small"}


def test_the_best_run_goes_by_what_the_metric_means():
    runs = run_frame()

    assert list(best_runs(runs, "live/fps")["run"]) == ["large", "worse", "small"]
    assert next(iter(best_runs(runs, "live/latency_p99_ms")["run"])) == "small"
    assert next(iter(best_runs(runs, "live/fps", lowest=True)["run"])) == "small"
    with pytest.raises(ConfigError, match=r"no run has a metric 'live/fsp'; perhaps live/fps"):
        best_runs(runs, "live/fsp")


DIRECTIONS = {
    "less": (
        "*_ms",
        "*_ms.p[59]*",
        "*_ms_now",
        "*_s.p[59]*",
        "*/first_label_s/p50",
        "*/memory_mb",
        "*/cpu_cores_used",
        "*/cpu_cores_used_now",
        "*/queue/*s",
        "*/queue/frames_in_hand",
        "*/skipped",
        "*/failed",
        "*/missing",
        "*/unanswered",
        "*/dropped*",
        "*/cpu_[mu]s_per_*",
        "*/ms_cpu",
        "*/false_faces_per_instant",
        "*/flips_per_track",
        "*/identity_switches",
        "*mae*_years",
        "*/ece",
        "*_nll",
        "*/gap_*",
        "*_fall",
        "*loss",
        "train/seconds",
        "model/parameters",
        "*/p99_vs_best_peer",
        "*/cores_busy",
        "*/victim_back_after_s",
    ),
    "more": (
        "*fps",
        "*/fps_now",
        "*_per_s",
        "*_per_busy_core_s",
        "*/analysed",
        "*/looks_saved_fraction",
        "*accuracy*",
        "*coverage",
        "*recall",
        "*/idf1",
        "*/hota",
        "*cs5",
        "*age_group_one_off",
        "capacity/cameras",
        "bench/*/vs_limit",
    ),
    "neither": (
        "live/*persons",
        "*/read",
        "*/batch_size_mean",
        "*/inside",
        "*/entered",
        "*/left",
        "*/to_left",
        "*/to_right",
        "*instants",
        "*faces",
        "*tracks",
        "*/n",
        "*_bias_years",
        "*_temperature",
        "train/images",
        "train/image_px",
        "train/learning_rate",
    ),
}
"""Metrics of the toolkit by what is better of them; the first that fits counts."""

WRITTEN_ELSEWHERE = (
    *("live/fps_now", "live/cpu_cores_used_now", "live/door/fps_now", "capacity/cameras"),
    *("train/loss", "train/gender_loss", "train/age_loss", "train/images_per_s", "train/image_px"),
    *("train/seconds", "train/images", "train/learning_rate", "model/images_per_s", "model/parameters"),
    *("bench/queue/x/ours/p50_ms", "bench/batch/x/ours/cpu_us_per_item", "bench/train/x/ours/ms_cpu"),
    *("bench/live/x/ours/rate_per_busy_core_s", "bench/live/x/ours/cores_busy", "bench/x/missing"),
    *("bench/live/x/vs_limit", "bench/queue/x/p99_vs_best_peer", "bench/x/ours/first_label_s/p50"),
    *("bench/live/x/ours/dropped", "bench/live/x/ours/unanswered"),
    *("faults/x/victim_fall", "faults/x/victim_back_after_s", "faults/x/victim_stalest_ms"),
)
"""Names that no function gives without a run of minutes."""


def written_metrics():
    """Names of the metrics that live runs, replays, searches for capacity and evaluations write."""
    places = {
        "zones": {"till": {"inside": 1, "entered": 3, "left": 2, "persons": 3}},
        "lines": {"gate": {"to_left": 4, "to_right": 5}},
    }
    with LivePipeline(
        {"door": "door"}, FixedDetector(), EchoModel(), opener=Opener(door=[[picture(1)]])
    ) as street:
        assert street.wait(10)
        statistics = street.statistics() | {"resources": ResourceMeter().snapshot()}
    statistics["cameras"]["door"] |= places
    truth, table = truth_of(lambda n: [standing(0)]), made_table()
    scores = score_streaming({"door": truth}, oracle(truth))
    judged = score_table(table) | {
        "gaps": fairness_gaps(table),
        "calibration": calibration_of(table, table),
        "corruptions": {"mean_fall": {"noise": 0.1}},
    }
    return {
        *live_metrics(statistics),
        *streaming_metrics(scores, "streaming"),
        *(f"capacity/{name}" for name in MEDIANS),
        *metrics_of_evaluation(judged),
        *WRITTEN_ELSEWHERE,
    }


def test_of_every_metric_that_is_written_it_is_known_what_is_better():
    for metric in written_metrics():
        meant = next((way for way, names in DIRECTIONS.items() if fits(metric, names)), None)

        assert meant is not None, f"{metric} is new: say in DIRECTIONS, and in the pattern, what is better"
        assert meant == "neither" or smaller_is_better(metric) == (meant == "less"), metric


def fits(metric, names):
    return any(fnmatchcase(metric, name) for name in names)


@pytest.mark.parametrize("metric", ["live/gap-door/fps", "live/loss/analysed", "x/bench_per_core_s"])
def test_a_word_elsewhere_in_a_name_does_not_say_what_is_better(metric):
    assert not smaller_is_better(metric)


def test_a_run_is_on_the_front_unless_another_beats_it_in_both():
    runs = run_frame("live").set_index("run")

    front = pareto_front(runs, ["live/fps", "live/latency_p99_ms"])

    assert front.to_dict() == {"small": True, "large": True, "worse": False, "other": False}


def test_a_run_is_read_back_over_time(tmp_path, monkeypatch, new_store):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    record = RunRecord("live", "timed", {})
    for second, read, analysed in ((1, 10, 10), (2, 20, 14), (3, 20, 14)):
        counts = {"read": read, "analysed": analysed, "skipped": read - analysed, "failed": 0}
        record.log_metrics({f"live/door/{name}": count for name, count in counts.items()}, step=second)
    run_id = record.close()

    history = metric_history(run_id, "live/door/read")
    counts = camera_history(run_id)

    assert history["value"].tolist() == [10.0, 20.0, 20.0]
    assert counts["analysed"].tolist() == [10.0, 4.0, 0.0]
    assert counts["skipped"].tolist() == [0.0, 6.0, 0.0]
    assert counts[["from_s", "to_s"]].to_numpy().tolist() == [[0, 1], [1, 2], [2, 3]]


def test_a_camera_that_came_late_or_again_counts_from_then_on(tmp_path, monkeypatch, new_store):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    record = RunRecord("live", "steered", {})
    # Read by each camera at the end of each second; "again" goes away and is added again, twice.
    reads = {"always": [25, 50, 75, 100, 125, 150], "late": [None, None, None, 10, 35, 60]}
    reads["again"] = [25, 50, None, 12, 37, 20]
    for second in range(6):
        now = {f"live/{camera}/read": read[second] for camera, read in reads.items()}
        same = {f"live/{camera}/analysed": read[second] for camera, read in reads.items()}
        record.log_metrics(now | same, step=second + 1)

    counts = camera_history(record.close()).set_index("camera")

    columns = ["from_s", "to_s", "read", "analysed"]
    assert counts.loc["late", columns].to_numpy().tolist() == [[3, 4, 10, 10], [4, 5, 25, 25], [5, 6, 25, 25]]
    assert counts.loc["again", "read"].tolist() == [25, 25, 12, 25, 20]
    assert counts.loc["again", "from_s"].tolist() == [0, 1, 3, 4, 5]
    assert counts.loc["always", "read"].tolist() == [25] * 6


def test_a_run_without_cameras_has_an_empty_history():
    assert camera_history(find_runs(["small"]).index[0]).empty


def test_who_only_looks_makes_no_store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")

    with pytest.raises(StoreUnavailable, match=r"no run is recorded yet.*toolkit demo"):
        run_frame()
    assert not (tmp_path / "mlflow.db").exists()


def test_a_foreign_file_is_no_store(tmp_path, monkeypatch):
    (tmp_path / "mlflow.db").write_text("these are words, and no tables at all, " * 20)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")

    with pytest.raises(StoreUnavailable, match="the file is something else"):
        run_frame()


def test_a_store_of_an_older_mlflow_is_told_how_to_become_newer(tmp_path, monkeypatch, new_store):
    import sqlite3

    uri = new_store(tmp_path)
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        store.execute("update alembic_version set version_num = '451aebb31d03'")
    store.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    with pytest.raises(StoreUnavailable, match=f"mlflow db upgrade {uri}"):
        run_frame()


def test_an_address_where_nobody_answers_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(StoreUnavailable, match="no MLflow server answers there") as told:
        run_frame()
    assert "secret" not in str(told.value)
