"""Make one checkpoint of several trainings of the shipped model, and tell it how sure to be.

    python experiments/finish_face_attributes.py one/best.safetensors two/best.safetensors --out both

Three steps, none of which learns a weight: the mean of the trainings, which began from the same weights, its
running statistics measured anew; temperatures for both heads, fitted on the val split; and the ages as
frequent as in all of FairFace, whose pack holds at most 2,400 of a gender's age group. What each step gives
on the val split is printed, as the split is and with its faces weighted as frequent as in all of FairFace;
--steps leaves some out.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import update_bn

from toolkit.data.faces import FaceTable, load_faces
from toolkit.data.lookalikes import without_lookalikes
from toolkit.errors import ConfigError, DataError, ToolkitError
from toolkit.evaluation.calibration import calibration_of, fit_age_temperature, fit_gender_temperature
from toolkit.evaluation.faces import CHUNK_FACES, predict_faces
from toolkit.evaluation.groups import group_of_age, group_of_label
from toolkit.evaluation.scores import named, weighted_scores
from toolkit.evaluation.table import PredictionTable
from toolkit.evaluation.values import score_columns
from toolkit.models.checkpoint import Checkpoint
from toolkit.models.network import AGE_BINS
from toolkit.models.predictor import Predictor
from toolkit.models.preprocess import make_batch
from toolkit.training.average import average_into
from toolkit.training.heads import set_age_prior, set_temperatures

FAIRFACE_AGES = np.array([1792, 10408, 9103, 25598, 19250, 10744, 6228, 2779, 842])
"""Faces of each age group in FairFace's 86,744 training pictures (``fairface_label_train.csv``); of the
groups that the pack does not cap it holds 45 to 47 %."""

STATISTICS_FACES = 4096
"""So many faces of the train split the running statistics are measured on."""

STEPS = ("temperatures", "ages")


def main() -> None:
    """Print a row for each step, and keep the last."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT")
    options.add_argument("--data", default="fairface_train_112")
    options.add_argument("--steps", nargs="*", choices=STEPS, default=STEPS)
    options.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    given = options.parse_args()
    try:
        finish(given.checkpoints, without_lookalikes(load_faces(given.data)), given.steps, given.out)
    except ToolkitError as error:
        sys.exit(f"error: {error}")


def finish(paths: list[str], faces: FaceTable, steps: list[str], out: Path) -> None:
    """All steps, from the checkpoints to the one that is kept."""
    trainings = [Checkpoint.load(path) for path in paths]
    if len({each.card.backbone for each in trainings}) > 1:
        raise ConfigError(f"only trainings of one backbone have a mean: {', '.join(paths)}")
    validation, ratios = faces.split("val"), frequency_ratios(faces.split("train"))
    weights = ratios[group_of_label(validation.ages_lo, validation.ages_hi)]
    if len(trainings) > 1:
        for path, training in zip(paths, trainings, strict=True):
            show(path, predicted(training, validation), weights)
    mean = mean_of(trainings, faces.split("train"))
    table = predicted(mean, validation)
    show(f"mean of {len(trainings)}", table, weights)
    if "temperatures" in steps:
        gender, age = fit_gender_temperature(table), fit_age_temperature(table)
        set_temperatures(mean.network, gender, age)
        table = predicted(mean, validation)
        show(f"at temperatures {gender:.2f} and {age:.2f}", table, weights)
    if "ages" in steps:
        set_age_prior(mean.network, ratios[group_of_age(np.arange(AGE_BINS))])
        table = predicted(mean, validation)
        show("ages as in all of FairFace", table, weights)
    metrics = {f"val/{name}": value for name, value in scores(table, np.ones(len(table))).items()}
    kept = replace(mean, card=replace(mean.card, metrics=metrics))
    print(f"kept in {kept.save(out / 'best.safetensors')}")


def mean_of(trainings: list[Checkpoint], faces: FaceTable) -> Checkpoint:
    """Their mean, its running statistics measured anew: those of its parts are not those of the mean.

    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018,
        section 3.2.
    """
    mean = trainings[0]
    if len(trainings) > 1:
        average_into(mean.network, [each.network for each in trainings])
        chosen = np.random.default_rng(0).permutation(len(faces))[:STATISTICS_FACES]
        parts = np.array_split(chosen, len(chosen) // CHUNK_FACES + 1)
        pictures = ([faces.picture(index) for index in part] for part in parts)
        batches = (torch.from_numpy(make_batch(some, mean.card.image_px)) for some in pictures)
        update_bn(batches, mean.network)
        mean.network.eval()
    return mean


def frequency_ratios(faces: FaceTable) -> np.ndarray:
    """How much more frequent each age group is in all of FairFace than in these faces."""
    groups = group_of_label(faces.ages_lo, faces.ages_hi)
    shares = np.bincount(groups, minlength=len(FAIRFACE_AGES)) / len(faces)
    if not shares.all():
        raise DataError(f"{faces.name}: its train split must have faces of every age group of FairFace")
    return FAIRFACE_AGES / FAIRFACE_AGES.sum() / shares


def predicted(checkpoint: Checkpoint, faces: FaceTable) -> PredictionTable:
    """What the network says, in single precision."""
    return predict_faces(Predictor(checkpoint), faces)


def scores(table: PredictionTable, weights: np.ndarray) -> dict[str, float]:
    """The scores that are known, of faces that count as much as their weights."""
    found = named(weighted_scores(score_columns(table), weights[None])[0])
    return {name: value for name, value in found.items() if value is not None}


def show(step: str, table: PredictionTable, weights: np.ndarray) -> None:
    """One row: the split as it is, and weighted."""
    shown = []
    for found in (scores(table, np.ones(len(table))), scores(table, weights)):
        gender, age_group = (100 * found[name] for name in ("gender_accuracy", "age_group_accuracy"))
        shown.append(
            f"gender {gender:.1f} %, age group {age_group:.1f} %, {found['age_mae_years']:.2f} years"
        )
    calibration = calibration_of(table)
    holds = calibration["age"]["intervals"]["0.9"]["coverage"]
    print(
        f"{step}: {shown[0]}; weighted: {shown[1]}; gender's ECE {calibration['gender']['ece']:.3f}, "
        f"an interval of 90 % holds {100 * holds:.0f} %"
    )


if __name__ == "__main__":
    main()
