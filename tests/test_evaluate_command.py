"""``toolkit evaluate`` as a person uses it, on drawn faces and on tables."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from made_faces import write_pack
from made_tables import made_table

from toolkit.cli import main
from toolkit.evaluation.report import Drawn
from toolkit.evaluation.table import read_table, write_table
from toolkit.experiment import load_experiment


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """The folder of one MLflow store for all: to make one takes seconds."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def run(tmp_path, store, monkeypatch, capsys):
    """Run ``toolkit evaluate WORDS`` in a folder of its own; gives exit code, JSON, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")

    def run(*words: str):
        path = tmp_path / "out.json"
        path.unlink(missing_ok=True)
        monkeypatch.setattr(sys, "argv", ["toolkit", "evaluate", *words, "--json", "out.json"])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        told = json.loads(path.read_text()) if path.exists() else None
        return ended.value.code or 0, told, said.out, said.err

    return run


@pytest.fixture
def words_alone(monkeypatch):
    """Figures are made and not drawn: to draw the eight of a report takes a second."""
    monkeypatch.setattr("toolkit.evaluation.report.drawn", lambda figure, alt: Drawn("", 100, alt))


def test_a_model_is_judged_and_leaves_report_predictions_and_record(run, store, tmp_path):
    from mlflow import MlflowClient

    write_pack(tmp_path / "made.parquet", train=40, val=12)

    words = "--data made.parquet --split train --report out/report.html --predictions told.csv"
    code, told, out, _ = run(
        *words.split(), "--temperature-from", "made.parquet:val", "evaluate.resamples=20"
    )

    assert code == 0
    assert told["n"] == 40
    assert told["sample_of"] is None
    assert told["runtimes"]["shipped"].startswith("torch, ")
    assert 0 <= told["gender_accuracy"] <= 1
    assert told["calibration"]["gender"]["temperature"] > 0
    assert "race_gender" in told["groups"]
    assert "by race label and gender" in out
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")
    assert len(read_table(tmp_path / "told.csv")) == 40
    record = MlflowClient(f"sqlite:///{store}/mlflow.db").get_run(told["mlflow_run_id"])
    was_looked_at_ms = 1000 * (tmp_path / "told.csv").stat().st_mtime
    assert record.info.start_time < was_looked_at_ms < record.info.end_time + 1
    assert record.data.metrics["eval/age_mae_years"] == told["age_mae_years"]
    assert record.data.params["evaluate.split"] == "train"
    kept = store / "artifacts" / record.info.run_id / "artifacts"
    assert {"report.html", "scores.json", "experiment.yaml"} == {path.name for path in kept.iterdir()}


@pytest.mark.usefixtures("words_alone")
def test_predictions_that_were_written_are_judged_alike(run, tmp_path):
    write_pack(tmp_path / "made.parquet", train=40, val=12)
    common = ("--data", "made.parquet", "--split", "train", "evaluate.resamples=50")

    _, by_model, _, _ = run(*common, "--predictions", "told.parquet")
    _, by_table, _, _ = run("told.parquet", "--against", "shipped", *common)

    for key in ("n", "gender_accuracy", "age_mae_years", "ece", "ci95", "groups", "gaps", "calibration"):
        assert by_table[key] == by_model[key]
    assert by_table["against"]["differences"]["gender_accuracy"]["difference"] == 0.0


@pytest.mark.usefixtures("words_alone")
def test_a_sample_says_that_it_is_one(run, tmp_path):
    write_table(made_table(300), tmp_path / "told.csv")

    _, told, out, _ = run("told.csv", "--limit", "50", "evaluate.resamples=0")

    assert (told["n"], told["sample_of"]) == (50, 300)
    assert "A SAMPLE: 50 of 300 faces" in out
    assert "ci95" not in told


@pytest.mark.usefixtures("words_alone")
def test_the_ending_of_a_table_may_be_in_capitals(run, tmp_path):
    write_table(made_table(40), tmp_path / "TOLD.CSV")

    _, told, _, _ = run("TOLD.CSV", "--predictions", "again.PARQUET", "evaluate.resamples=0")

    assert told["n"] == len(read_table(tmp_path / "again.PARQUET")) == 40


@pytest.mark.usefixtures("words_alone")
def test_an_experiment_names_corruptions_and_the_words_after_it_have_the_last_say(run, tmp_path):
    write_pack(tmp_path / "made.parquet", train=12, val=6)
    (tmp_path / "question.yaml").write_text(
        "question: does it hold up?\nseed: 5\n"
        "evaluate: {data: made.parquet, split: val, corruptions: [jpeg, blur], resamples: 20}\n"
    )

    _, told, out, _ = run("question.yaml", "evaluate.corruptions=[h264]", "--report", "r.html")

    assert list(told["corruptions"]["by_corruption"]) == ["h264"]
    assert [*told["corruptions"]["by_corruption"]["h264"]] == ["1", "2", "3", "4", "5"]
    assert "when pictures get worse" in out
    assert "does it hold up?" in (tmp_path / "r.html").read_text()


def test_the_seed_of_the_experiment_is_that_of_its_evaluation(tmp_path):
    (tmp_path / "q.yaml").write_text("seed: 41\nevaluate: {data: a}\n")

    assert load_experiment(tmp_path / "q.yaml").evaluate.seed == 41
    assert load_experiment(tmp_path / "q.yaml", ["evaluate.seed=5"]).evaluate.seed == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.csv", "b.csv"], "one subject at a time, got a.csv, b.csv"),
        (["nowhere.csv"], "nowhere.csv cannot be read"),
        (["told.html"], "told.html cannot be judged: give a trained model (.safetensors)"),
        (["told.csv", "--against", "told.html"], "told.html cannot be judged"),
        (["told.csv", "--limit", "0"], "limit must be at least 1, got 0"),
        (["--corrupt", "blurry", "--data", "made.parquet"], "did you mean 'blur'"),
        (["told.csv", "--corrupt", "all"], "corruptions need a model that looks at pictures"),
        (["told.csv", "--temperature-from", "made.parquet:val"], "temperature_from must be a table"),
        (["told.csv", "--temperature-from", "again.csv"], "names faces that are judged, 'again.csv'"),
        (
            ["--data", "./made.parquet", "--split", "val", "--temperature-from", "made.parquet:val"],
            "names faces that are judged",
        ),
        (
            ["--data", "made.parquet", "--split", "all", "--temperature-from", "made.parquet:val"],
            "names faces that are judged",
        ),
        (["told.csv", "--against", "other.csv"], "must tell of the same faces"),
        (["--data", "made.parquet", "--split", "val", "--runtime", "torsch"], "did you mean 'torch'"),
        (["told.csv", "evaluate.resample=5"], "unknown key 'resample'; did you mean 'resamples'?"),
    ],
)
def test_a_mistake_is_told_in_a_line(run, tmp_path, words, said):
    for name in ("told.csv", "again.csv"):
        write_table(made_table(20), tmp_path / name)
    write_pack(tmp_path / "made.parquet", train=2, val=2)
    other = made_table(20, seed=8)
    write_table(type(other)("other", other.rows.drop(columns="file")), tmp_path / "other.csv")
    (tmp_path / "told.html").write_text("<!doctype html>")

    code, told, out, err = run(*words)

    assert code == 1
    assert told is None
    assert out == ""
    assert said in err.replace("\n", " ")
    assert "Traceback" not in err


def test_a_sample_is_the_same_where_one_table_alone_names_its_faces(run, tmp_path, words_alone):
    table = made_table(60)
    write_table(table, tmp_path / "named.csv")
    write_table(replace(table, rows=table.rows.drop(columns="file")), tmp_path / "bare.csv")

    for words in (["bare.csv", "--against", "named.csv"], ["named.csv", "--against", "bare.csv"]):
        code, told, _, err = run(*words, "--limit", "20", "evaluate.resamples=0")

        assert code == 0, err
        assert told["n"] == told["against"]["scores"]["n"] == 20
        assert told["against"]["differences"]["gender_accuracy"]["difference"] == 0.0


def test_a_name_that_no_table_has_is_told_before_a_face_is_looked_at(run, tmp_path, monkeypatch):
    write_pack(tmp_path / "made.parquet", train=2, val=2)
    monkeypatch.setattr("toolkit.evaluate_run.load_faces", lambda *args: pytest.fail("faces were loaded"))

    code, _, _, err = run("--data", "made.parquet", "--split", "val", "--predictions", "told.txt")

    assert code == 1
    assert "predictions are written as .csv or .parquet, got told.txt" in err


def test_ctrl_c_ends_an_evaluation_in_a_word_and_leaves_nothing_half_written(run, tmp_path, monkeypatch):
    write_pack(tmp_path / "made.parquet", train=6, val=6)

    def ctrl_c(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.evaluate_run.predict_faces", ctrl_c)
    code, told, out, err = run("--data", "made.parquet", "--split", "val", "--report", "r.html")

    assert code == 130
    assert err.endswith("interrupted\n")
    assert (told, out) == (None, "")
    assert not (tmp_path / "r.html").exists()
