"""``toolkit data prepare``, ``train`` and ``sweep`` as a person uses them."""

from __future__ import annotations

import json
import shlex
from datetime import date
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from made_faces import draw_textured_face, jpeg, write_pack

from toolkit.cli import cli
from toolkit.data.faces import load_faces
from toolkit.errors import ConfigError, ModelError
from toolkit.experiment import load_experiment
from toolkit.sweep_run import run_sweep, sweep_points


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One MLflow store for all tests: making one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def toolkit(tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run ``toolkit WORDS`` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)

    def run(words: str) -> Result:
        return CliRunner().invoke(cli, words.split(), catch_exceptions=False)

    return run


def write_experiment(path: Path, **parts: object) -> None:
    write_pack(path.parent / "made.parquet", train=24, val=8)
    train = {"data": "made.parquet", "backbone": "test_resnet", "image_px": 32, "epochs": 2, "batch_size": 8}
    path.write_text(yaml.safe_dump({"train": train | {"device": "cpu"}, **parts}, sort_keys=False))


def test_a_folder_becomes_a_pack_and_the_pack_a_model_and_the_run_is_recorded(
    toolkit, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    (tmp_path / "faces").mkdir()
    for number in range(60):
        name = f"{20 + number}_{number % 2}_0_2017{number:04}.jpg"
        (tmp_path / "faces" / name).write_bytes(
            jpeg(draw_textured_face(number % 2, 20 + number, 96, seed=number))
        )

    prepared = toolkit("data prepare utkface --from faces -o own.parquet --json own.json")
    write_experiment(tmp_path / "e.yaml")
    trained = toolkit("train e.yaml train.data=own.parquet train.epochs=1 --out out --json trained.json")

    report = json.loads((tmp_path / "own.json").read_text())
    assert sum(report["splits"].values()) == 60
    assert f"sha256 {report['sha256']}" in prepared.stdout
    result = json.loads((tmp_path / "trained.json").read_text())
    assert (result["data_sha256"], result["best_epoch"]) == (report["sha256"], 1)
    assert "best epoch 1: out/best.safetensors" in trained.stdout
    assert f"{result['epochs'][0]['val/age_mae_years']:.2f} years off" in trained.stderr
    client = MlflowClient()
    run = client.get_run(result["mlflow_run_id"])
    assert run.data.metrics["val/gender_accuracy"] == result["epochs"][0]["val/gender_accuracy"]
    assert run.inputs.dataset_inputs[0].dataset.digest == report["sha256"][:36]
    left = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert left == {"experiment.yaml", "checkpoint", "model"}

    again = toolkit("train e.yaml train.data=own.parquet train.epochs=1 --resume out")
    assert "epoch 1: loss" not in again.stderr
    assert "best epoch 1: out/best.safetensors" in again.stdout
    with pytest.raises(ConfigError, match="nothing to resume in elsewhere"):
        toolkit("train e.yaml --resume elsewhere")
    with pytest.raises(ConfigError, match="goes on in its own folder, out: leave out --out other"):
        toolkit("train e.yaml --resume out --out other")
    with pytest.raises(ConfigError, match="out holds a training, which a new one would overwrite"):
        toolkit("train e.yaml train.data=own.parquet train.epochs=1 --out out")


def test_a_training_that_is_ended_in_its_first_epoch_names_nothing_to_go_on_from(
    toolkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {"checkpoint": None, "best_epoch": 0, "was_interrupted": True, "mlflow_run_id": "abc"}
    monkeypatch.setattr("toolkit.learn_run.run_training", lambda *args, **kwargs: nothing)
    write_experiment(tmp_path / "e.yaml")

    ended = toolkit("train e.yaml --out out")

    assert "nothing to go on from" in ended.stdout
    assert "--resume" not in ended.stderr
    assert "None" not in ended.stdout


@pytest.mark.parametrize(
    ("processes", "start"),
    [("1", ["toolkit"]), ("2", ["torchrun", "--nproc-per-node=2", "-m", "toolkit.cli"])],
)
def test_what_goes_on_with_a_training_can_be_copied_into_a_shell(
    toolkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: str, start: list[str]
) -> None:
    # As torchrun sets them.
    monkeypatch.setenv("WORLD_SIZE", processes)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    ended = {"checkpoint": Path("best"), "best_epoch": 1, "was_interrupted": True, "mlflow_run_id": None}
    monkeypatch.setattr("toolkit.learn_run.run_training", lambda *args, **kwargs: ended)
    write_experiment(tmp_path / "my e.yaml")
    words = ["train", "my e.yaml", "train.licence=CC BY 4.0"]

    said = CliRunner().invoke(cli, [*words, "--out", "my out"], catch_exceptions=False).stderr

    _, again = said.strip().split("to go on: ")
    assert shlex.split(again) == [*start, *words, "--resume", "my out"]


@pytest.mark.parametrize(
    "words",
    [
        "train e.yaml train.data=nowhere",
        "sweep e.yaml train.data=nowhere",
        "data prepare utkface --from nowhere -o own.parquet",
    ],
)
def test_an_error_before_the_first_step_follows_no_empty_bar(toolkit, tmp_path: Path, words: str) -> None:
    write_experiment(tmp_path / "e.yaml", sweep={"grid": {"image_px": [16]}})

    ended = CliRunner().invoke(cli, words.split())

    assert "nowhere" in str(ended.exception)
    assert ended.stderr.strip() in ("", "reading the labels")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("data draw drawn.parquet --seed -1", "-1 is not in the range x>=0"),
        ("data prepare utkface --from . -o own.parquet --side 0", "0 is not in the range x>=8"),
    ],
)
def test_numbers_that_make_no_pack_are_refused(toolkit, tmp_path: Path, words: str, said: str) -> None:
    ended = CliRunner().invoke(cli, words.split())

    assert ended.exit_code == 2
    assert said in ended.stderr
    assert not list(tmp_path.glob("*.parquet"))


@pytest.mark.parametrize("words", ["train e.yaml --out", "sweep e.yaml --out", "export -o"])
def test_a_folder_that_cannot_be_is_told_before_the_work(toolkit, tmp_path: Path, words: str) -> None:
    write_experiment(tmp_path / "e.yaml", sweep={"grid": {"image_px": [16]}})

    ended = CliRunner().invoke(cli, [*words.split(), "e.yaml/out"])

    assert ended.exit_code == 2
    assert "e.yaml/out cannot be written" in " ".join(ended.stderr.split())


def test_drawn_faces_are_a_pack_to_try_everything_out_with(toolkit, tmp_path: Path) -> None:
    said = toolkit("data draw new/drawn.parquet --train 24 --val 8 --test 4 --json drawn.json")

    assert "train 24, val 8, test 4" in said.stdout
    assert json.loads((tmp_path / "drawn.json").read_text())["splits"] == {"train": 24, "val": 8, "test": 4}
    assert len(load_faces(tmp_path / "new" / "drawn.parquet", "train")) == 24


@pytest.mark.parametrize("words", ["data draw drawn.txt", "data prepare utkface --from faces -o drawn.txt"])
def test_a_pack_is_not_written_under_the_name_of_something_else(tmp_path: Path, monkeypatch, words) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces").mkdir()

    ended = CliRunner().invoke(cli, words.split())

    assert ended.exit_code == 2
    assert "its name ends in .parquet, got 'drawn.txt'" in " ".join(ended.stderr.split())
    assert not (tmp_path / "drawn.txt").exists()


def test_a_sweep_that_was_ended_goes_on_and_trains_no_point_twice(
    toolkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    from toolkit.training import loop

    write_experiment(tmp_path / "s.yaml", sweep={"grid": {"image_px": [16, 32], "epochs": [2]}})
    learn, learned = loop.Training._learn, []

    def interrupted(training, loader, epoch, on_progress):  # type: ignore[no-untyped-def]
        learned.append((training.config.image_px, epoch))
        if len(learned) == 4:
            raise KeyboardInterrupt
        return learn(training, loader, epoch, on_progress)

    monkeypatch.setattr(loop.Training, "_learn", interrupted)

    said = [toolkit(f"sweep s.yaml --json {name}.json").stderr for name in ("first", "then", "again")]

    first, then, again = (
        json.loads((tmp_path / f"{n}.json").read_text()) for n in ("first", "then", "again")
    )
    assert learned == [(16, 1), (16, 2), (32, 1), (32, 2), (32, 2)]
    assert "left: 1 point; the same command goes on" in said[0]
    assert [row["name"] for row in then["points"]] == ["image_px=16, epochs=2", "image_px=32, epochs=2"]
    assert (first["left"], then["left"]) == (1, 0)
    assert again["points"] == then["points"]
    assert (tmp_path / then["figure"]).read_bytes().startswith(b"\x89PNG")
    runs = [MlflowClient().get_run(row["mlflow_run_id"]) for row in then["points"]]
    parents = [run.data.tags["mlflow.parentRunId"] for run in runs]
    assert parents == [first["mlflow_run_id"], then["mlflow_run_id"]]


def test_ctrl_c_between_two_points_compares_what_is_finished(
    toolkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    from toolkit.training import loop

    write_experiment(tmp_path / "s.yaml", sweep={"grid": {"image_px": [16, 32]}})
    begin = loop.Training.__init__

    def interrupted(training, config, **given):  # type: ignore[no-untyped-def]
        if config.image_px == 32:
            raise KeyboardInterrupt
        begin(training, config, **given)

    monkeypatch.setattr(loop.Training, "__init__", interrupted)
    said = toolkit("sweep s.yaml --json s.json")

    result = json.loads((tmp_path / "s.json").read_text())
    assert [row["name"] for row in result["points"]] == ["image_px=16"]
    assert "left: 1 point; the same command goes on" in said.stderr
    assert MlflowClient().get_run(result["mlflow_run_id"]).info.status == "KILLED"
    where = f"tags.`mlflow.parentRunId` = '{result['mlflow_run_id']}'"
    trainings = MlflowClient().search_runs(
        [MlflowClient().get_experiment_by_name("train").experiment_id], where
    )
    assert sorted(run.info.status for run in trainings) == ["FINISHED", "KILLED"]


def test_faces_of_unknown_age_teach_the_gender_alone(toolkit, tmp_path: Path) -> None:
    write_experiment(tmp_path / "s.yaml", sweep={"grid": {"epochs": [1]}})
    load_faces("made.parquet").rows.assign(age_lo=0, age_hi=100).to_parquet("made.parquet")

    said = toolkit("sweep s.yaml --json s.json")

    (point,) = json.loads((tmp_path / "s.json").read_text())["points"]
    assert "validation gender" in said.stderr
    assert "years off" not in said.stderr
    assert "gender_accuracy" in point
    assert "age_group_accuracy" not in point
    assert "–" in said.stdout


def test_a_point_that_cannot_be_trained_is_named_before_the_first_is_trained(toolkit, tmp_path: Path) -> None:
    write_experiment(tmp_path / "s.yaml", sweep={"grid": {"backbone": ["test_resnet", "test_resnett"]}})

    with pytest.raises(ModelError, match=r"sweep point backbone=test_resnett: timm has no model"):
        toolkit("sweep s.yaml --out out")

    assert not (tmp_path / "out").exists()


def test_a_point_whose_batch_is_larger_than_the_pack_is_named_before_the_first_is_trained(
    toolkit, tmp_path: Path
) -> None:
    write_experiment(tmp_path / "s.yaml", sweep={"grid": {"batch_size": [8, 32]}})

    with pytest.raises(ConfigError, match="sweep point batch_size=32: 24 faces do not fill a batch of 32"):
        toolkit("sweep s.yaml --out out")

    assert not (tmp_path / "out").exists()


def test_a_sweep_over_other_data_is_another_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path / "s.yaml", sweep={"grid": {"image_px": [16, 32]}})
    experiment = load_experiment(tmp_path / "s.yaml")

    before, same = (sweep_points(experiment, tmp_path) for _ in range(2))
    write_pack(Path(experiment.train.data), train=40, val=14)
    after = sweep_points(experiment, tmp_path)

    folders = [[point.folder for point in points] for points in (before, same, after)]
    assert folders[0] == folders[1]
    assert not set(folders[0]) & set(folders[2])


def test_folders_and_data_with_square_brackets_are_named_in_full(toolkit, tmp_path: Path) -> None:
    write_experiment(tmp_path / "s.yaml", sweep={"grid": {"data": ["[old].parquet"], "epochs": [1]}})
    write_pack(tmp_path / "[old].parquet", train=24, val=8)

    trained = toolkit("train s.yaml train.epochs=1 --out runs/[new]")
    swept = toolkit("sweep s.yaml")

    assert "best epoch 1: runs/[new]/best.safetensors" in trained.stdout
    assert "data=[old].parquet, epochs=1" in swept.stdout


def test_a_sweep_that_torchrun_starts_is_refused_and_waits_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    write_experiment(tmp_path / "e.yaml", sweep={"grid": {"image_px": [16]}})

    with pytest.raises(ConfigError, match="start it without torchrun"):
        run_sweep(load_experiment(tmp_path / "e.yaml"), tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_sweep_without_a_grid_is_refused(toolkit, tmp_path: Path) -> None:
    write_experiment(tmp_path / "s.yaml")
    with pytest.raises(ConfigError, match="has no part 'sweep', which toolkit sweep needs"):
        toolkit("sweep s.yaml")

    write_experiment(tmp_path / "s.yaml", sweep={"grid": {"imagepx": [16]}})
    with pytest.raises(ConfigError, match="did you mean 'image_px'"):
        toolkit("sweep s.yaml")

    write_experiment(tmp_path / "s.yaml", sweep={"grid": {"image_px": ["wide"]}})
    with pytest.raises(ConfigError, match="sweep point image_px=wide: image_px"):
        toolkit("sweep s.yaml")


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"data": [3]}, "sweep point data=3: data: expected a valid string, got 3"),
        ({"init": [["shipped"]]}, r"init: expected a valid string, got \['shipped'\]"),
        ({"seed": [date(2026, 12, 1)]}, "seed: expected a valid integer"),
    ],
)
def test_a_value_of_another_kind_in_the_grid_is_named_with_its_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grid: dict[str, list[object]], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path / "s.yaml", sweep={"grid": grid})

    with pytest.raises(ConfigError, match=said):
        sweep_points(load_experiment(tmp_path / "s.yaml"), tmp_path)
