"""The notebooks run from top to bottom, and lie in the repository without their outputs."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest
from jupyter_client.asynchronous import AsyncKernelClient
from mlflow import MlflowClient
from waiting import wait_until

from toolkit.cli import main
from toolkit.errors import ConfigError
from toolkit.experiment import overrides_of
from toolkit.notebook_run import find_notebook, grid_points, run_notebook
from toolkit.tracking import RunRecord, store_uri

_NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
_LONGEST_CELL_LINES = 6

EXPERIMENT = """
question: does the notebook run?
live:
  cameras: {{left: {clip}, right: {clip}}}
  camera: {{loop: true}}
  detector: haar
  duration_s: 2.5
"""


@pytest.fixture(params=_NOTEBOOKS, ids=lambda path: path.name)
def notebook(request) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=nbformat.NO_CONVERT)


def test_a_notebook_is_valid_and_asks_for_no_special_kernel(notebook):
    nbformat.validate(notebook)

    assert notebook.nbformat == 4
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata


def test_a_notebook_is_kept_without_outputs(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert cells
    assert not [cell.source for cell in cells if cell.outputs or cell.execution_count is not None]


def test_what_a_notebook_writes_is_no_part_of_the_checkout(notebook):
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    written = {f"notebooks/{folder}/" for folder in re.findall(r'Path\("(\w+)', code)}

    ignored = (Path(__file__).parent.parent / ".gitignore").read_text().splitlines()
    assert written <= set(ignored)


def test_a_notebook_tells_a_story_and_leaves_rules_to_the_package(notebook):
    kinds = [cell.cell_type for cell in notebook.cells]
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]

    assert kinds[0] == kinds[-1] == "markdown"
    assert ("code", "code") not in list(itertools.pairwise(kinds))
    assert not [source for source in code if re.search(r"(?m)^\s*(def|class|for|while)\b", source)]
    assert max(len(source.splitlines()) for source in code) <= _LONGEST_CELL_LINES


def test_the_live_notebook_runs_and_leaves_its_pictures_and_its_run(tmp_path, clip_path, monkeypatch):
    from mlflow import MlflowClient

    store = f"sqlite:///{tmp_path}/store/mlflow.db"
    experiment = tmp_path / "short.yaml"
    experiment.write_text(EXPERIMENT.format(clip=clip_path))
    # A kernel works where its notebook lies.
    shutil.copy(next(path for path in _NOTEBOOKS if path.name.startswith("01")), tmp_path / "live.ipynb")

    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "live.ipynb"]
    settings = {"TOOLKIT_EXPERIMENT": str(experiment), "MLFLOW_TRACKING_URI": store}
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | settings, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    page = (tmp_path / "live.html").read_text(encoding="utf-8")
    # Widgets are blank in a page without a kernel: what stays are pictures of their own.
    assert len(re.findall(r'<img[^>]*src="data:image/jpeg', page)) == 1
    assert len(re.findall(r'<img[^>]*src="data:image/png', page)) == 4
    assert "No description has been provided" not in page
    client = MlflowClient(tracking_uri=store)
    [run] = client.search_runs([client.get_experiment_by_name("live").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["live/left/fps"] > 0


def test_the_queue_notebook_loses_no_task_and_leaves_its_figure(tmp_path):
    shutil.copy(next(path for path in _NOTEBOOKS if path.name.startswith("02")), tmp_path / "queue.ipynb")

    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "queue.ipynb"]
    done = subprocess.run([*command, "--output", "ran"], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    ran = nbformat.read(tmp_path / "ran.ipynb", as_version=4)
    shown = [output.get("data", {}) for cell in ran.cells for output in cell.get("outputs", [])]
    text = "\n".join(data.get("text/plain", "") for data in shown)
    rows = re.findall(r"(?m)^(?:done)?\s+(\d)\s+(\d+)$", text)
    assert sum(int(tasks) for _, tasks in rows) == 400
    assert "ZeroDivisionError" in text
    assert sum("image/png" in data for data in shown) == 1


def test_the_evaluation_notebook_judges_a_model_and_leaves_its_report_and_its_run(tmp_path):
    from mlflow import MlflowClient

    shutil.copy(next(path for path in _NOTEBOOKS if path.name.startswith("03")), tmp_path / "judge.ipynb")
    store = f"sqlite:///{tmp_path}/store/mlflow.db"

    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "judge.ipynb"]
    settings = {key: value for key, value in os.environ.items() if key != "TOOLKIT_EXPERIMENT"}
    settings["MLFLOW_TRACKING_URI"] = store
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    page = (tmp_path / "judge.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<img[^>]*src="data:image/png', page)) == 4
    assert "How good is" in (tmp_path / "evaluation" / "report.html").read_text(encoding="utf-8")
    client = MlflowClient(tracking_uri=store)
    [run] = client.search_runs([client.get_experiment_by_name("evaluate").experiment_id])
    # The drawn genders are told apart by more than chance.
    assert run.data.metrics["eval/gender_accuracy"] > 0.6


def test_the_evaluation_notebook_judges_data_without_races_ages_and_pictures(tmp_path, monkeypatch):
    table = ["gender,age_lo,age_hi,female_probability", *[f"{n % 2},0,100,0.{n % 2}5" for n in range(40)]]
    (tmp_path / "told.csv").write_text("\n".join(table))
    (tmp_path / "mine.yaml").write_text("evaluate: {subject: told.csv, resamples: 0}")
    monkeypatch.setenv("TOOLKIT_EXPERIMENT", "mine.yaml")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store/mlflow.db")
    monkeypatch.chdir(tmp_path)
    path = next(path for path in _NOTEBOOKS if path.name.startswith("03"))
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]

    names = {"Path": Path, "judged": {}}
    # Without the faces and the model that the notebook makes.
    for source in code[3:]:
        exec(source, names)

    assert names["result"]["n"] == 40


def test_the_notebook_that_compares_takes_runs_that_were_recorded_elsewhere(tmp_path, monkeypatch, new_store):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_store(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    client = MlflowClient(store_uri())
    experiment = client.create_experiment("train")
    metrics = ("val/gender_accuracy", "val/age_mae_years", "train/images_per_s", "model/images_per_s")
    for number in (1, 2):
        run = client.create_run(experiment, run_name=f"mine-{number}").info.run_id
        for metric in metrics:
            client.log_metric(run, metric, number, step=1)
    path = next(path for path in _NOTEBOOKS if path.name.startswith("07"))
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]

    names: dict = {}
    # As its beginning says: without the sweep, and the runs in place of its points.
    for source in [code[3], "points = runs", *code[5:]]:
        exec(source, names)

    assert len(pd.read_parquet("sweep/runs.parquet")) == 2


# Smaller than they stand there: what is tested is that they run, and that settings reach them.
_IN_BATCH = {
    "05": (),
    "06": ("train.epochs=1", "train.image_px=32"),
    "07": ("sweep.grid={image_px: [32]}", "train.image_px=32"),
    "08": (),
}


@pytest.fixture(scope="module")
def store(new_store, tmp_path_factory):
    """A folder with a store, in which notebooks are run in batch."""
    folder = tmp_path_factory.mktemp("batch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", new_store(folder / "store"))
        patch.delenv("TOOLKIT_EXPERIMENT", raising=False)
        yield folder


@pytest.mark.parametrize("number", _IN_BATCH)
def test_a_notebook_runs_in_batch_and_its_page_lies_in_its_run(store, number):
    report = run_notebook(find_notebook(number), store / number, settings=_IN_BATCH[number])

    assert (report.status, report.error) == ("FINISHED", None)
    client = MlflowClient(store_uri())
    files = {file.path for file in client.list_artifacts(report.mlflow_run_id)}
    assert files == {report.html.name, report.html.with_suffix(".ipynb").name}
    run = client.get_run(report.mlflow_run_id)
    assert run.info.status == "FINISHED"
    # The figures of the runs that its cells made stand in its own: so notebooks of a sweep can be compared.
    expected = {"06": "val/gender_accuracy", "07": "model/images_per_s", "08": "eval/gender_accuracy"}
    assert expected.get(number) in {None, *run.data.metrics}
    page = report.html.read_text(encoding="utf-8")
    assert "No description has been provided" not in page


def _notebook(path: Path, *code: str) -> Path:
    cells = [nbformat.v4.new_markdown_cell("# Does it run?"), *map(nbformat.v4.new_code_cell, code)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_cell_that_raises_is_named_and_its_page_is_kept(store, monkeypatch, capsys):
    monkeypatch.chdir(store)
    path = _notebook(store / "broken.ipynb", "1 / 0")
    monkeypatch.setattr(sys, "argv", ["toolkit", "notebooks", "run", str(path), "--out", "broken"])

    with pytest.raises(SystemExit) as ended:
        main()

    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "a cell failed: ZeroDivisionError" in said.err
    assert "ZeroDivisionError" in (store / "broken" / "broken.html").read_text(encoding="utf-8")


def test_ctrl_c_ends_the_kernel_and_keeps_what_there_is(store):
    code = "import os, time; open('kernel.pid', 'w').write(str(os.getpid())); time.sleep(600)"
    path = _notebook(store / "slow.ipynb", code)
    command = [sys.executable, "-m", "toolkit.cli", "notebooks", "run", str(path), "--out", "slow"]
    process = subprocess.Popen(command, cwd=store, stderr=subprocess.PIPE, text=True, start_new_session=True)
    pid_file = store / "slow" / "kernel.pid"
    wait_until(lambda: pid_file.exists() and pid_file.read_text(), 120)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "interrupted; the kernel has ended" in err
    assert "Traceback" not in err
    assert not psutil.pid_exists(int(pid_file.read_text()))
    assert (store / "slow" / "slow.html").exists()


def test_ctrl_c_while_the_kernel_starts_ends_the_run_as_killed(store, monkeypatch):
    wait = AsyncKernelClient.wait_for_ready

    async def wait_interrupted(client, **given):
        os.kill(os.getpid(), signal.SIGINT)
        await wait(client, **given)

    monkeypatch.setattr(AsyncKernelClient, "wait_for_ready", wait_interrupted)

    report = run_notebook(_notebook(store / "early.ipynb", "1"), store / "early")

    assert (report.status, report.error) == ("KILLED", None)
    assert MlflowClient(store_uri()).get_run(report.mlflow_run_id).info.status == "KILLED"


def test_ctrl_c_before_the_kernel_starts_ends_the_run_as_killed(store, monkeypatch):
    def wait_interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(RunRecord, "wait_for_id", wait_interrupted)

    report = run_notebook(_notebook(store / "earlier.ipynb", "1"), store / "earlier")

    assert report.status == "KILLED"
    assert MlflowClient(store_uri()).get_run(report.mlflow_run_id).info.status == "KILLED"


def test_ctrl_c_while_the_page_is_written_ends_the_run_as_killed(store, monkeypatch):
    def save_interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.notebook_run._save", save_interrupted)

    with pytest.raises(KeyboardInterrupt):
        run_notebook(_notebook(store / "late.ipynb", "1"), store / "late")

    client = MlflowClient(store_uri())
    experiment = client.get_experiment_by_name("notebook")
    newest = client.search_runs([experiment.experiment_id], max_results=1)[0]
    assert newest.info.status == "KILLED"


def test_a_notebook_whose_run_has_no_id_in_time_says_that_others_are_not_nested(store, monkeypatch, caplog):
    monkeypatch.setattr(RunRecord, "wait_for_id", lambda record, timeout_s: None)
    monkeypatch.setattr("toolkit.notebook_run._execute", lambda *_: None)

    report = run_notebook(_notebook(store / "alone.ipynb", "1"), store / "alone")

    assert report.status == "FINISHED"
    assert "those of its cells are recorded beside it" in caplog.text


def test_a_grid_has_a_point_for_each_combination():
    assert grid_points(["a.b=[1, x]", "c=[2.5]"]) == [("a.b=1", "c=2.5"), ("a.b=x", "c=2.5")]
    assert grid_points([]) == [()]
    with pytest.raises(ConfigError, match="a grid is written key="):
        grid_points(["a=1"])
    with pytest.raises(ConfigError, match="the values are not YAML"):
        grid_points(["a=[1, 2"])


@pytest.mark.parametrize("value", ["/films/" + "a long way " * 20, list(range(60)), "two\nlines", 2.5, None])
def test_a_value_of_a_grid_reaches_its_notebook_whole(value):
    [[setting]] = grid_points([f"a.b={json.dumps([value])}"])

    assert len(setting.splitlines()) == 1
    assert overrides_of([setting]) == {"a": {"b": value}}


def test_a_page_that_cannot_be_written_fails_the_run_and_ends_it(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("toolkit.notebook_run._save", full)

    with pytest.raises(OSError, match="No space left"):
        run_notebook(_notebook(store / "full.ipynb", "1 + 1"), store / "full")

    client = MlflowClient(store_uri())
    runs = client.search_runs([client.get_experiment_by_name("notebook").experiment_id])
    assert {run.info.status for run in runs if run.info.run_name.startswith("full")} == {"FAILED"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["99"], "no single notebook '99'"),
        (["0"], "fits 01_live"),
        (["02", "live.duration_s=3"], "02_queue_and_workers.ipynb takes no settings"),
        (["01", "live.duration=3"], "unknown key 'duration'; did you mean 'duration_s'?"),
        (["01", "--grid", "live.duration=[3, 4]"], "unknown key 'duration'; did you mean 'duration_s'?"),
        (["01", "no-such.yaml"], "cannot read the experiment no-such.yaml"),
        (["pyproject.toml"], "no single notebook 'pyproject.toml'"),
        (["broken.ipynb"], "broken.ipynb is not a notebook"),
    ],
)
def test_a_mistake_is_told_before_a_kernel_starts(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.ipynb").write_text("{}")
    monkeypatch.setattr(sys, "argv", ["toolkit", "notebooks", "run", *words])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 1
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["broken.ipynb"]


SCREEN = """
question: does the notebook run?
live:
  cameras: {hall: "scene:room?seconds=2&frames_per_s=10&width=320&height=240&persons=3&seed=7"}
  detector: haar
  runtime: torch
capacity:
  scene: {seconds: 2, frames_per_s: 5, width: 320, height: 240, persons: 2}
  seconds: 0.4
  warm_up_s: 0.1
  runs: 1
  most_cameras: 1
"""


def test_the_streaming_notebook_scores_replays_and_searches(tmp_path):
    from mlflow import MlflowClient

    shutil.copy(next(path for path in _NOTEBOOKS if path.name.startswith("04")), tmp_path / "screen.ipynb")
    store = f"sqlite:///{tmp_path}/store/mlflow.db"
    (tmp_path / "short.yaml").write_text(SCREEN)

    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "screen.ipynb"]
    settings = {"TOOLKIT_EXPERIMENT": str(tmp_path / "short.yaml"), "MLFLOW_TRACKING_URI": store}
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | settings, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    page = (tmp_path / "screen.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<img[^>]*src="data:image/png', page)) == 3
    assert "No description has been provided" not in page
    assert "95 % probable" in page
    client = MlflowClient(tracking_uri=store)
    runs = {
        name: client.search_runs([client.get_experiment_by_name(name).experiment_id])
        for name in ("live", "replay", "capacity")
    }
    assert {name: len(found) for name, found in runs.items()} == {"live": 1, "replay": 2, "capacity": 1}
    assert runs["replay"][0].data.metrics["streaming/instants"] > 10
