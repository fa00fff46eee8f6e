"""``toolkit train``, ``toolkit sweep`` and ``toolkit data``: from pictures on disk to a checkpoint."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from toolkit.errors import ConfigError
from toolkit.evaluation.words import score_text
from toolkit.terminal import (
    FOLDER,
    NEW_FILE,
    NEW_FOLDER,
    doing,
    err,
    json_option,
    load,
    new_folder,
    out,
    plain,
    print_run,
    write_json,
)
from toolkit.words import counted

if TYPE_CHECKING:
    from toolkit.training.config import TrainConfig

# That of toolkit.training.state, without torch.
_STATE_FILE = "state.safetensors"


@click.command()
@click.argument("experiment_and_overrides", nargs=-1, metavar="EXPERIMENT [KEY=VALUE]...")
@click.option("--out", "out_dir", type=NEW_FOLDER, help="Folder for checkpoint and state.")
@click.option("--resume", "resume_dir", type=FOLDER, help="Go on with the training that was ended there.")
@json_option
def train(
    experiment_and_overrides: tuple[str, ...],
    out_dir: Path | None,
    resume_dir: Path | None,
    json_path: Path | None,
) -> None:
    """Train a model of apparent gender and age as EXPERIMENT (YAML) says, and record the run in MLflow.

    The best epoch's weights are kept as safetensors, with a JSON card beside them. Ctrl-C ends the training
    early and keeps what there is; whatever ended it, --resume goes on after the last whole epoch. On several
    GPUs: torchrun --nproc-per-node=2 -m toolkit.cli train ...

    \b
      toolkit train experiments/face-attributes.yaml train.epochs=3 --out runs/mine
      toolkit train experiments/face-attributes.yaml train.epochs=3 --resume runs/mine
    """
    # Under torchrun every process runs this command, and one of them speaks.
    out.quiet = err.quiet = os.environ.get("RANK", "0") != "0"
    experiment = load("train", "train", experiment_and_overrides)
    _check_before_loading(experiment.train, resume_dir, out_dir)
    with _steps() as (on_progress, on_epoch):
        from toolkit.learn_run import run_training

        folder = resume_dir or out_dir or new_folder("train")
        result = run_training(experiment, folder, on_progress, on_epoch, resume=resume_dir is not None)
    best = f"best epoch {result['best_epoch']}: {result['checkpoint']}"
    if result["checkpoint"] is None:
        best = "it ended before its first epoch did: no weights, and nothing to go on from"
    elif result["was_interrupted"]:
        # To be copied into a shell: names may have spaces.
        again = shlex.join([*_started_as(), "train", *experiment_and_overrides, "--resume", str(folder)])
        err.print(f"interrupted; to go on: {again}", highlight=False, markup=False, soft_wrap=True)
    out.print(best, highlight=False, markup=False, soft_wrap=True)
    print_run(result["mlflow_run_id"])
    if not out.quiet:
        write_json(json_path, result)


def _started_as() -> list[str]:
    """How the command was started: by itself, or by torchrun in so many processes."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return ["toolkit"]
    return ["torchrun", f"--nproc-per-node={os.environ['LOCAL_WORLD_SIZE']}", "-m", "toolkit.cli"]


@click.command()
@click.argument("experiment_and_overrides", nargs=-1, metavar="EXPERIMENT [KEY=VALUE]...")
@click.option(
    "--out", "out_dir", type=NEW_FOLDER, help="Folder of the points.  [default: runs/sweep/EXPERIMENT]"
)
@json_option
def sweep(experiment_and_overrides: tuple[str, ...], out_dir: Path | None, json_path: Path | None) -> None:
    """Train every combination of a grid and compare them: accuracy against speed.

    EXPERIMENT (YAML) has a part train and a part sweep. Each training is an MLflow run nested in that of the
    sweep. The same command again goes on where the last one ended: finished points are not trained again.

    \b
      toolkit sweep experiments/sweep-backbones.yaml
    """
    experiment = load("sweep", "sweep", experiment_and_overrides, also=("train",))
    _check_before_loading(experiment.train)
    with _steps() as (on_progress, on_epoch):
        from toolkit.sweep_run import run_sweep
        from toolkit.tracking import DEFAULT_STORE

        def on_point(number: int, points: int, row: dict[str, Any]) -> None:
            err.print(
                f"point {number} of {points}: {row['name']}", highlight=False, markup=False, soft_wrap=True
            )

        folder = out_dir or DEFAULT_STORE / "sweep" / experiment.name
        result = run_sweep(experiment, folder, on_point, on_progress, on_epoch)
    out.print(_point_table(result["points"]))
    if result["left"]:
        err.print(f"left: {counted(result['left'], 'point')}; the same command goes on", highlight=False)
    if result["figure"]:
        out.print(f"picture: {result['figure']}", highlight=False, markup=False, soft_wrap=True)
    print_run(result["mlflow_run_id"])
    write_json(json_path, result)


def _check_before_loading(
    config: TrainConfig | None, resume_dir: Path | None = None, out_dir: Path | None = None
) -> None:
    """What takes no torch to see is told at once, and not after half a minute."""
    from toolkit.data.faces import find_faces

    if config is not None:
        find_faces(config.data)
    if resume_dir is not None and out_dir not in (None, resume_dir):
        raise ConfigError(
            f"a training goes on in its own folder, {resume_dir}: leave out --out {out_dir}, or resume a copy"
        )
    if resume_dir is None and out_dir is not None and (out_dir / _STATE_FILE).exists():
        raise ConfigError(
            f"{out_dir} holds a training, which a new one would overwrite: --resume goes on with it; for a "
            "new one name another --out, or remove that folder"
        )
    if resume_dir is not None and not resume_dir.is_dir():
        raise ConfigError(f"nothing to resume in {resume_dir}: there is no such folder")


class _NewPack(click.ParamType):
    """A pack to be written, under a name that says what it is."""

    name = NEW_FILE.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, if it ends as a pack's does, and can be written."""
        path: Path = NEW_FILE.convert(value, param, ctx)
        if path.suffix.lower() != ".parquet":
            self.fail(f"a pack is a Parquet file: its name ends in .parquet, got {path.name!r}", param, ctx)
        return path


_NEW_PACK = _NewPack()


@click.group()
def data() -> None:
    """Labelled pictures: what can be read, and how it becomes a pack."""


@data.command(short_help="Pack a data set for training and evaluation.")
@click.argument("name")
@click.option("--from", "folder", type=FOLDER, required=True, help="Where the data set lies.")
@click.option("-o", "--output", "target", type=_NEW_PACK, required=True, help="The Parquet file to write.")
@click.option(
    "--side", "side_px", type=click.IntRange(8), default=128, show_default=True, help="Longest side, pixels."
)
@json_option
def prepare(name: str, folder: Path, target: Path, side_px: int, json_path: Path | None) -> None:
    """Pack the data set NAME into the one form that training and evaluation read.

    NAME is adience, csv, fairface, market1501, pa100k or utkface; datasets/NAME/README.md says how to obtain
    it. Pictures that look identical, and pictures of one person, never straddle train, val and test.

    \b
      toolkit data prepare utkface --from UTKFace -o utkface.parquet
    """
    with _bar("reading the labels") as show:
        from toolkit.data.prepare import prepare as pack

        report = pack(name, folder, target, side_px, lambda done, total: show(name, done, total))
    counts = ", ".join(f"{split} {report.splits.get(split, 0):,}" for split in ("train", "val", "test"))
    out.print(
        f"{report.path}: {counts}; {report.bytes / 1e6:.1f} MB", highlight=False, markup=False, soft_wrap=True
    )
    copies = (
        f"{report.duplicate_groups} groups look identical, {report.disagreeing_groups} with unlike labels"
    )
    out.print(copies, highlight=False)
    if report.left_out:
        why = "for looking like, or showing, somebody of a split of its own that is looked at less"
        out.print(f"{counted(report.left_out, 'picture')} left out {why}", highlight=False, soft_wrap=True)
    out.print(f"sha256 {report.sha256}", highlight=False)
    write_json(json_path, {**vars(report), "path": str(report.path)})


@data.command(short_help="Draw faces to learn from, for a first try without a data set.")
@click.argument("target", metavar="FILE", type=_NEW_PACK)
@click.option("--train", default=600, show_default=True, type=click.IntRange(1), help="Faces of that split.")
@click.option("--val", default=150, show_default=True, type=click.IntRange(1), help="Faces of that split.")
@click.option("--test", default=150, show_default=True, type=click.IntRange(0), help="Faces of that split.")
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0), help="Of all chance.")
@json_option
def draw(target: Path, train: int, val: int, test: int, seed: int, json_path: Path | None) -> None:
    """Draw faces into the pack FILE (Parquet), which training and evaluation read.

    The mouth's colour tells the gender, the grey of the hair the age. What a model makes of them says nothing
    of people; it serves to try everything out before there is a data set.

    \b
      toolkit data draw drawn.parquet
    """
    from toolkit.data.drawn import write_drawn_faces

    splits = {"train": train, "val": val, "test": test}
    write_drawn_faces(target, **splits, seed=seed)
    counts = ", ".join(f"{split} {count:,}" for split, count in splits.items())
    out.print(f"{target}: {counts}", highlight=False, markup=False, soft_wrap=True)
    write_json(json_path, {"path": str(target), "splits": splits})


_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())

_OnProgress = Callable[[int, int, dict[str, float]], None]
_OnEpoch = Callable[[int, dict[str, float]], None]


@contextmanager
def _bar(waiting: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar from the first step on; until then what is waited for, so that no error follows an empty bar."""
    progress = Progress(*_COLUMNS, console=err, disable=not err.is_terminal)
    with ExitStack() as shown, ExitStack() as waiting_for:
        waiting_for.enter_context(doing(waiting))

        def show(what: str, done: int, total: int) -> None:
            if not progress.tasks:
                waiting_for.close()
                shown.enter_context(progress)
                progress.add_task(what)
            progress.update(progress.task_ids[0], description=what, completed=done, total=total)

        yield show


@contextmanager
def _steps() -> Iterator[tuple[_OnProgress, _OnEpoch]]:
    """A bar of training steps, with a line for every epoch above it."""
    with _bar("loading torch and the data") as show:

        def on_progress(step: int, steps: int, values: dict[str, float]) -> None:
            show(f"loss {values['train/loss']:.3f}", step, steps)

        def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
            # Only the first of several processes validates.
            if "val/gender_accuracy" in metrics:
                err.print(_epoch_line(epoch, metrics), highlight=False, soft_wrap=True)

        yield on_progress, on_epoch


def _epoch_line(epoch: int, metrics: dict[str, float]) -> str:
    ages = ""
    # Labels that tell no age, as those of gender alone, have no score of it.
    if "val/age_mae_years" in metrics:
        group, years = metrics["val/age_group_accuracy"], metrics["val/age_mae_years"]
        ages = f", age group {group:.1%}, {years:.2f} years off"
    return (
        f"epoch {epoch}: loss {metrics['train/loss']:.3f}; "
        f"validation gender {metrics['val/gender_accuracy']:.1%}{ages}; "
        f"{metrics['train/images_per_s']:.0f} images/s"
    )


def _point_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("point")
    for title in ("gender", "age group", "pictures/s", "million weights"):
        table.add_column(title, justify="right")
    for row in rows:
        scores = (score_text(row.get(name), name) for name in ("gender_accuracy", "age_group_accuracy"))
        size = f"{row['parameters'] / 1e6:.2f}"
        table.add_row(plain(row["name"]), *scores, f"{row['images_per_s']:.0f}", size)
    return table
