"""``toolkit runs`` as a person uses it."""

import json
import sys
import time

import pandas as pd
import pytest
from rich.console import Console

from toolkit.cli import main
from toolkit.tracking import RunRecord


@pytest.fixture(scope="module")
def folder(tmp_path_factory, new_store):
    """A folder with a store of two live runs, in which the commands are given."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", new_store(folder / "runs"))
        for name, size, fps in (("slow", 1, 10.0), ("quick", 32, 90.0)):
            record = RunRecord("live", name, {"batch": size})
            record.log_metrics({"live/fps": fps, "live/latency_p99_ms": 2 * fps, "live/door/read": 5}, step=1)
            record.close()
    return folder


@pytest.fixture
def run(folder, tmp_path, monkeypatch, capsys):
    """``run("list")`` gives exit code, standard output and standard error of ``toolkit runs list``."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["toolkit", "runs", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


def test_the_list_shows_what_runs_are_judged_by(run, tmp_path):
    code, out, _ = run("list", "--json", str(tmp_path / "runs.json"))

    assert code == 0
    assert [name in out for name in ("quick", "slow", "FINISHED", "90")] == [True] * 4
    rows = json.loads((tmp_path / "runs.json").read_text())
    assert [(row["run"], row["live/fps"]) for row in rows] == [("quick", 90.0), ("slow", 10.0)]


def test_the_list_tells_when_a_run_began_by_the_clock_of_the_place(run, monkeypatch, new_store, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    RunRecord("live", "night", {}, began_at=1_700_000_000.0).close()  # 2023-11-14 22:13:20 UTC
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()

    try:
        _, out, _ = run("list")
    finally:
        monkeypatch.undo()
        time.tzset()

    assert "11-15 07:13" in out


def test_a_comparison_shows_what_is_unlike_and_draws_it(run, tmp_path):
    code, out, _ = run("compare", "slow", "quick", "--figure", str(tmp_path / "runs.png"))

    assert code == 0
    assert "params.batch" in out
    assert "live/door/read" not in out
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG")


def test_the_best_run_stands_first(run):
    _, out, _ = run("best", "live/latency_p99_ms")

    assert out.index("slow") < out.index("quick")


@pytest.mark.parametrize(("ending", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_runs_become_a_table_of_their_settings_and_metrics(run, tmp_path, ending, read):
    code, out, _ = run("export", str(tmp_path / f"runs.{ending}"))

    table = read(tmp_path / f"runs.{ending}").set_index("run")
    assert code == 0
    assert "2 rows" in out
    assert table["live/fps"].to_dict() == {"quick": 90.0, "slow": 10.0}
    assert int(table.loc["quick", "params.batch"]) == 32


def test_one_run_over_time_becomes_a_table_and_pictures(run, tmp_path):
    run("export", str(tmp_path / "quick.csv"), "--history", "quick")
    code, out, _ = run("draw", "quick", "-o", str(tmp_path / "[of] quick.svg"))

    assert set(pd.read_csv(tmp_path / "quick.csv")["metric"]) >= {"live/fps", "live/door/read"}
    assert code == 0
    assert out.splitlines() == [
        f"picture: {tmp_path}/[of] quick-latency.svg",
        f"picture: {tmp_path}/[of] quick-cameras.svg",
    ]
    assert "<svg" in (tmp_path / "[of] quick-cameras.svg").read_text()


def test_what_did_not_arrive_is_sent(run, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/a-file/mlflow.db")
        (folder / "a-file").write_text("in the way")
        RunRecord("train", "late", {}).close()

    _, _, hint = run("list")
    code, out, _ = run("send")

    assert "1 run left data" in hint
    assert code == 0
    assert "1 entries sent to run" in out
    assert "late" in run("list", "-e", "train")[1]
    assert "nothing is left to send" in run("send")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "-e", "lvie"], "did you mean 'live'?"),
        (["best", "live/fsp"], "perhaps live/fps"),
        (["compare", "quik"], "no run is called 'quik'; did you mean 'quick'?"),
        (["compare", "quick", "--metrics", "live/fps"], "--metrics wants two names"),
        (["compare", "quick", "slow", "--figure", "x.doc"], "a picture is written as .png"),
        (["export", "runs.xlsx"], "a table is written as .csv or .parquet"),
        (["export", "a.csv", "--history", "quick", "-e", "live"], "leave out --experiment live"),
        (["send", "nowhere.jsonl"], "cannot read nowhere.jsonl: No such file"),
    ],
)
def test_a_mistake_ends_in_one_line(run, words, said):
    code, _, err = run(*words)

    assert code == 1
    assert said in err
    assert "Traceback" not in err


def test_a_database_without_its_driver_is_told_in_one_line(run, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+pg8000://me:secret@127.0.0.1/mlflow")

    code, _, err = run("list")

    assert code == 1
    assert "No module named 'pg8000', the driver of that database: pip install it" in err
    assert "secret" not in err


@pytest.mark.parametrize("words", [["list"], ["best", "eval/gender_accuracy"]])
def test_on_a_narrow_terminal_names_ids_and_figures_are_whole(run, monkeypatch, new_store, tmp_path, words):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path))
    name = "small-sweep: backbone=resnet10t, image_px=32-20261124-060304"
    record = RunRecord("evaluate", name, {})
    record.log_metrics({"eval/gender_accuracy": 0.912, "eval/age_mae_years": 5.25})
    run_id = record.close()

    monkeypatch.setattr("toolkit.cli_runs.out", Console(width=80))
    _, said, _ = run(*words)

    header, of_run, figures = (line.rstrip() for line in said.splitlines())
    assert header.split()[:2] == ["run", "id"]
    assert of_run.startswith(f"{name}  {run_id[:8]}")
    assert figures.startswith("  eval/gender_accuracy 0.912")
    assert max(map(len, (of_run, figures))) <= 80
