"""``toolkit doctor``: what it finds, and what it finds missing."""

import json
import subprocess
import sys

import pytest

from toolkit.cli import main
from toolkit.doctor import examine


def found(what: str):
    [finding] = [finding for finding in examine() if finding.what == what]
    return finding


def test_a_machine_that_runs_these_tests_has_all_that_is_needed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(sys, "argv", ["toolkit", "doctor", "--json", "found.json"])

    with pytest.raises(SystemExit) as ended:
        main()

    told = json.loads((tmp_path / "found.json").read_text())
    assert (ended.value.code, told["missing"]) == (0, [])
    assert {finding["state"] for finding in told["findings"]} <= {"ok", "optional"}
    assert "h264" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_what_is_missing_says_how_to_get_it_and_ends_with_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:9/0")
    monkeypatch.setattr(sys, "argv", ["toolkit", "doctor"])

    with pytest.raises(SystemExit) as ended:
        main()

    out = capsys.readouterr().out
    assert ended.value.code == 1
    assert "start it, or unset REDIS_URL" in out
    assert "missing: Redis" in out
    assert "secret" not in out


def test_a_folder_of_data_that_is_not_there_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("TOOLKIT_DATA", str(tmp_path / "nowhere"))

    assert found("TOOLKIT_DATA").state == "missing"
    assert "datasets/" in found("TOOLKIT_DATA").cure


def test_the_store_is_looked_at_and_not_made(monkeypatch, tmp_path, new_store):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert "is made by the first run" in found("MLflow store").found

    new_store(tmp_path)
    assert found("MLflow store").found.endswith("mlflow.db: 0 runs")

    (tmp_path / "mlflow.db").write_text("no tables, only words")
    assert found("MLflow store").state == "missing"


def test_an_address_of_a_store_that_is_none_is_told(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:50o0")

    assert found("MLflow store").state == "missing"
    assert "nonnumeric port" in found("MLflow store").found
    assert "secret" not in found("MLflow store").found


def test_a_store_that_is_no_server_is_not_asked_as_one(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@127.0.0.1/mlflow")

    assert found("MLflow store").state == "optional"
    assert found("MLflow store").found == "postgresql://***@127.0.0.1/mlflow: not asked here"


def test_looking_loads_none_of_the_heavy_libraries():
    code = "import sys; from toolkit.doctor import examine; examine(); print(*sys.modules)"

    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not {"torch", "mlflow", "openvino", "onnxruntime"} & set(modules.split())
