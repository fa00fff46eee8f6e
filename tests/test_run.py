"""The script that sets everything up: what it passes on, and what it says."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

_ENDS_WITH_3_ON_CTRL_C = """
import time
try:
    print("up", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    raise SystemExit(3)
"""
_SCRIPT = Path(__file__).parent.parent / "run.py"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """run.py as a module, with an empty project folder of its own."""
    spec = importlib.util.spec_from_file_location("run", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(module, "STAMP", tmp_path / "set-up.txt")
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    return module


@pytest.fixture
def steps(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps a set-up takes, written down instead of taken."""
    taken: list[str] = []
    monkeypatch.setattr(script, "make_environment", lambda: taken.append("make"))
    monkeypatch.setattr(script, "install", lambda: taken.append("install"))
    return taken


def test_no_command_shows_what_there_is(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([]) == 0

    shown = capsys.readouterr().out
    assert all(name in shown for name in ("demo", "test", "check", "lab", "docs", "ui"))


def test_ui_opens_the_store_that_the_environment_names(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    [own] = script.commands("ui", [])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/mlflow.db")
    [elsewhere] = script.commands("ui", [])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5001")

    assert own[own.index("--backend-store-uri") + 1] == "sqlite:///runs/mlflow.db"
    assert elsewhere[elsewhere.index("--backend-store-uri") + 1] == "sqlite:////elsewhere/mlflow.db"
    with pytest.raises(SystemExit, match="names a server: open its address"):
        script.commands("ui", [])


def test_an_unknown_command_is_refused(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["tset"]) == 2

    assert "no command 'tset'" in capsys.readouterr().err


def test_set_up_is_done_once(script: ModuleType, steps: list[str]) -> None:
    script.set_up()
    script.set_up()

    assert steps == ["install"]


def test_a_changed_lock_is_installed_anew(script: ModuleType, steps: list[str]) -> None:
    script.set_up()
    script.LOCK.write_text("another pin")

    script.set_up()

    assert steps == ["install", "install"]


def test_the_lock_bounds_what_is_installed_and_adds_nothing(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(script, "find_uv", lambda: "uv")
    monkeypatch.setattr(script, "run", lambda command: commands.append(command) or 0)

    script.install()

    (command,) = commands
    assert command[command.index("-c") + 1] == str(script.LOCK)
    assert "-r" not in command


def test_an_environment_that_was_moved_is_made_anew(script: ModuleType, steps: list[str]) -> None:
    script.set_up()
    script.STAMP.write_text(script.STAMP.read_text().replace(str(script.ROOT), "/elsewhere"))

    script.set_up()

    assert steps == ["install", "make", "install"]


def test_an_environment_elsewhere_is_not_emptied_through_a_link(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "somebody's").write_text("work")
    (tmp_path / ".venv").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(script, "VENV", tmp_path / ".venv")

    with pytest.raises(script.SetUpError, match="remove the link"):
        script.make_environment()

    assert (tmp_path / "elsewhere" / "somebody's").read_text() == "work"


def test_another_python_is_told_which_one_is_needed(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script.sys, "version_info", (3, 10, 4))

    assert script.main(["test"]) == 1

    assert "needs Python 3.11, 3.12 or 3.13, this is 3.10.4" in capsys.readouterr().err


def test_a_python_that_can_make_no_environment_names_the_missing_package(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(script.shutil, "which", lambda name: None)

    with pytest.raises(script.SetUpError, match="python3-venv"):
        script.make_environment()


def test_arguments_and_exit_codes_pass_through(script: ModuleType, steps: list[str]) -> None:
    assert script.commands("test", ["-k", "queue"])[0][-2:] == ["-k", "queue"]

    assert script.run_all([[sys.executable, "-c", "raise SystemExit(7)"], [sys.executable, "-c", ""]]) == 7


def test_a_program_that_is_missing_says_what_to_do(script: ModuleType) -> None:
    with pytest.raises(script.SetUpError, match="cannot start no-such-program"):
        script.run(["no-such-program"])


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent otherwise there")
def test_ctrl_c_leaves_the_ending_to_the_child() -> None:
    code = f"import run, sys; sys.exit(run.run([sys.executable, '-c', {_ENDS_WITH_3_ON_CTRL_C!r}]))"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=_SCRIPT.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout.readline() == "up\n"
        time.sleep(0.1)
        os.killpg(parent.pid, signal.SIGINT)
        _, errors = parent.communicate(timeout=10)

    assert parent.returncode == 3
    assert "Traceback" not in errors
