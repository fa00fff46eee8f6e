"""The notebooks run from top to bottom, and lie in the repository without their outputs."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

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
  confirm_runs: 1
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
    assert "95 % confidence" in page
    client = MlflowClient(tracking_uri=store)
    runs = {
        name: client.search_runs([client.get_experiment_by_name(name).experiment_id])
        for name in ("live", "replay", "capacity")
    }
    assert {name: len(found) for name, found in runs.items()} == {"live": 1, "replay": 2, "capacity": 1}
    assert runs["replay"][0].data.metrics["streaming/instants"] > 10
