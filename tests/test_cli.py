"""The command line as a person uses it: what it prints, writes, and says of a mistake."""

import json
import os
import pty
import signal
import subprocess
import sys
import time

import click
import pytest
from click.shell_completion import ShellComplete
from clips import write_clip

from toolkit import terminal
from toolkit.cli import cli, main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, new_store):
    """Run ``toolkit WORDS`` in a folder of its own; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    new_store(tmp_path / "runs")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["toolkit", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


def test_a_live_run_leaves_its_table_its_json_its_pictures_and_its_record(run, tmp_path):
    from mlflow import MlflowClient

    for name in ("a", "b"):
        write_clip(tmp_path / f"{name}.mp4")
    words = "live -c door=a.mp4 -c hall=b.mp4 --json out/result.json --out out live.detector=haar"

    code, out, _ = run(*words.split())

    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert code == 0
    assert "door" in out
    for camera in ("door", "hall"):
        counts = result["cameras"][camera]
        settled = sum(counts[key] for key in ("analysed", "skipped", "failed", "in_flight"))
        assert counts["read"] == settled == 30
        assert (tmp_path / "out" / f"{camera}.jpg").read_bytes()[:2] == b"\xff\xd8"
    record = MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db").get_run(result["mlflow_run_id"])
    assert record.data.metrics["live/door/read"] == 30
    assert record.data.metrics["live/latency_p99_ms"] == result["latency_ms"]["p99"]


def test_every_frame_of_a_recording_is_analysed_when_asked(run, tmp_path):
    write_clip(tmp_path / "a.mp4")

    words = "live -c door=a.mp4 --every-frame --json result.json live.detector=haar"
    run(*words.split())

    counts = json.loads((tmp_path / "result.json").read_text())["cameras"]["door"]
    assert (counts["analysed"], counts["skipped"]) == (30, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["live", "-c", "door=nowhere.mp4"], "no such file or folder"),
        (["live", "-c", "door=text.mp4"], "text.mp4"),
        (["live", "-c", "door=empty"], "empty"),
        (["live", "-c", "door"], "NAME=SOURCE"),
        (["live", "-c", "door=ftp://x/y"], "no camera speaks 'ftp'; did you mean 'rtsp'?"),
        (["live"], "which cameras? Give --camera NAME=SOURCE"),
        (["live", "-c", "door=clip.mp4", "-c", "door=empty"], "camera 'door' is given twice: clip.mp4 and"),
        (["live", "-c", "door=clip.mp4", "live.checkpoint=nowhere.safetensors"], "no checkpoint nowhere"),
        (["live", "-c", "door=clip.mp4", "train.epochs=3"], "train.epochs=3 has no effect here"),
        (["bench", "camera", "bench.queue.rounds=1"], "toolkit bench camera reads bench.camera alone"),
        (["live", "-c", "door=clip.mp4", "--out", "/proc/nowhere"], "/proc/nowhere"),
        (["live", "clip.mp4"], "a camera is named as -c NAME=clip.mp4"),
        (["train", "live.yaml"], "has no part 'train', which toolkit train needs"),
        (["train", "train.yaml"], "no face pack 'nowhere'"),
        (
            ["train", "here.yaml", "--resume", "nowhere"],
            "nothing to resume in nowhere: there is no such folder",
        ),
        (["sweep", "here.yaml"], "has no part 'sweep'"),
        (["train"], "no experiment given"),
        (["live", "typo.yaml"], "unknown key 'durations_s'; did you mean 'duration_s'?"),
        (["live", "nowhere.yaml"], "cannot read the experiment nowhere.yaml"),
        (["live", "-c", "door=clip.mp4", "live.pipelin.batch_size=4"], "did you mean 'pipeline'?"),
        (["train", "typo.yaml"], "unknown key"),
        (["evaluate", "--data", "nowhere.parquet"], "nowhere.parquet"),
        (["evaluate", "nowhere.safetensors"], "no checkpoint nowhere.safetensors"),
    ],
)
def test_a_mistake_ends_in_one_line_that_says_what_to_do(run, tmp_path, words, said):
    write_clip(tmp_path / "clip.mp4")
    (tmp_path / "text.mp4").write_text("these are words")
    (tmp_path / "empty").mkdir()
    (tmp_path / "typo.yaml").write_text("live: {cameras: {a: clip.mp4}, durations_s: 5}\n")
    (tmp_path / "live.yaml").write_text("live: {cameras: {a: clip.mp4}}\n")
    (tmp_path / "train.yaml").write_text("train: {data: nowhere}\n")
    (tmp_path / "here.parquet").write_bytes(b"")
    (tmp_path / "here.yaml").write_text("train: {data: here.parquet}\n")

    code, out, err = run(*words)

    assert code == 1
    assert out == ""
    assert said in err
    assert err.splitlines()[-1].startswith("error:")
    assert "Traceback" not in err


@pytest.mark.parametrize("width", [80, 110])
def test_the_table_of_a_live_run_fits_the_terminal(width):
    from rich.console import Console

    from toolkit.cli_live_view import _camera_table

    latency = {"p50": 120.0, "p95": 1500.0, "p99": 12000.0}
    camera = {"read": 45000, "analysed": 40000, "skipped": 5000, "failed": 0, "in_flight": 3, "state": "live"}
    camera |= {"frames_per_s_now": 25.0, "latency_ms": latency, "persons": 1234}
    statistics = {"cameras": {"front-door": camera}, **camera}

    console = Console(width=width)
    with console.capture() as shown:
        console.print(_camera_table(statistics, "60 s", width))

    for word in ("front-door", "45000", "analysed", "skipped", "failed", "frames/s", "12000", "1234"):
        assert word in shown.get()
    assert ("state" in shown.get()) == (width == 110)


def test_a_camera_that_is_nowhere_to_be_found_is_a_mistake_too(run):
    code, _, err = run("live", "-c", "door=rtsp://me:secret@127.0.0.1:9/1", "live.detector=haar")

    assert code == 1
    assert "no camera can be opened" in err
    assert "secret" not in err


def test_a_checkpoint_of_another_shape_is_refused(run, tmp_path):
    from importlib.resources import files

    weights = files("toolkit.models") / "weights"
    (tmp_path / "other.safetensors").write_bytes((weights / "face_attributes.safetensors").read_bytes())
    card = json.loads((weights / "face_attributes.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps(card | {"backbone": "resnet18"}))
    write_clip(tmp_path / "clip.mp4")

    code, _, err = run("live", "-c", "a=clip.mp4", "live.checkpoint=other.safetensors", "live.detector=haar")

    assert code == 1
    assert "other.safetensors" in err.replace("\n", "")


def test_help_is_there_for_every_command_and_sub_command(run):
    groups = {name: command for name, command in cli.commands.items() if isinstance(command, click.Group)}
    below = [(name, inner) for name, group in groups.items() for inner in group.commands]
    for words in ((), *((name,) for name in cli.commands), *below):
        code, out, _ = run(*words, "--help")

        assert code == 0
        assert "Usage" in out


def test_the_help_of_the_demo_says_who_finds_the_videos_beside_the_checkout(run):
    _, out, _ = run("demo", "--help")

    # run.py does; the command itself reads TOOLKIT_DATA alone.
    assert "With TOOLKIT_DATA, which make demo sets to ../shared/data" in " ".join(out.split())


def test_the_first_help_lists_every_command_in_a_line_of_a_section(run):
    _, out, _ = run("--help")

    lines = [line for line in out.splitlines() if line[2:3].isalpha() and line.split()[0] in cli.commands]
    assert {line.split()[0] for line in lines} == set(cli.commands)
    assert not [line for line in lines if line.endswith("...")]
    assert not [line for line in out.splitlines() if line.startswith(" " * 12)], "a line goes on in the next"
    assert "More" not in out, "give the new command a line in toolkit/cli.py"


@pytest.mark.parametrize("group", [n for n, c in cli.commands.items() if isinstance(c, click.Group)])
def test_a_group_lists_its_commands_in_whole_lines(run, group):
    _, out, _ = run(group, "--help")

    listed = out.partition("Commands:")[2].splitlines()
    assert listed
    assert not [line for line in listed if line.endswith("...")], "give it a short_help"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["evalute"], 2, "Did you mean 'evaluate'?"),
        (["live", "--camra", "door=0"], 2, "Did you mean '--camera'?"),
        (["runs"], 2, "Usage"),
        (["doctor", "--json", "/dev/null/told.json"], 2, "cannot be written"),
        (["doctor", "--json", "."], 2, "is a directory"),
    ],
)
def test_words_that_are_not_understood_end_with_2(run, words, code, said):
    ended, _, err = run(*words)

    assert ended == code
    assert said in err


@pytest.mark.parametrize(
    "words",
    [["live"], ["demo"], ["capacity"], ["tune"], ["scene", "preview", "hall"], ["notebooks", "run", "01"]],
    ids=" ".join,
)
def test_a_folder_that_cannot_be_made_is_told_before_the_work(run, words):
    ended, _, err = run(*words, "--out", "/dev/null/out")

    assert ended == 2
    assert "/dev/null/out cannot be written" in err


def test_a_full_disk_is_told_in_one_line(run, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "told.json")

    monkeypatch.setattr("toolkit.doctor.examine", full)

    code, _, err = run("doctor")

    assert code == 1
    assert err.strip() == "error: [Errno 28] No space left on device: 'told.json'"


def test_ctrl_c_before_there_is_anything_to_keep_ends_with_130(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.demo.demo_cameras", interrupted)

    code, out, err = run("demo")

    assert (code, out, err.strip().splitlines()[-1]) == (130, "", "interrupted")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(run, shell):
    code, out, _ = run("completion", shell)

    assert code == 0
    assert f"_TOOLKIT_COMPLETE={shell}_complete" in out


def test_a_word_is_completed(monkeypatch):
    found = ShellComplete(cli, {}, "toolkit", "_TOOLKIT_COMPLETE").get_completions(["runs"], "ex")

    assert [item.value for item in found] == ["export"]


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_a_time_limit_ends_a_run_with_its_report(tmp_path, told):
    write_clip(tmp_path / "a.mp4")
    words = "live -c door=a.mp4 --loop --json result.json live.detector=haar"
    process = subprocess.Popen(
        [sys.executable, "-m", "toolkit.cli", *words.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Its first progress line says that the run goes on; on a busy machine warnings may come before.
    assert any("door" in line for line in process.stderr)
    time.sleep(0.5)
    process.send_signal(told)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 0
    assert "Traceback" not in err
    counts = json.loads((tmp_path / "result.json").read_text())["cameras"]["door"]
    assert counts["state"] == "stopped"
    assert counts["read"] == counts["analysed"] + counts["skipped"]
    assert "MLflow run" in out


def test_a_run_whose_terminal_is_closed_ends_with_its_json(tmp_path):
    write_clip(tmp_path / "a.mp4")
    words = "live -c door=a.mp4 --loop --json result.json live.detector=haar"
    child, terminal_fd = pty.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that nohup started ignore it
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, "-m", "toolkit.cli", *words.split()])
    said = b""
    while b"frames/s" not in said:
        said += os.read(terminal_fd, 4096)
    time.sleep(0.5)
    os.close(terminal_fd)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert json.loads((tmp_path / "result.json").read_text())["cameras"]["door"]["state"] == "stopped"


def test_an_error_is_told_by_whichever_of_several_processes_has_it(run, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    for console in (terminal.out, terminal.err):
        monkeypatch.setattr(console, "quiet", False)

    code, _, said = run("train", "nowhere.yaml")

    assert code == 1
    assert "error: cannot read the experiment nowhere.yaml" in said
