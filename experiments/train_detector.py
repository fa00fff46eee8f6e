"""Train our face detector.

    python experiments/train_detector.py --settings experiments/face-detector.yaml minutes=60

Settings are those of ``toolkit.training.detector_config.DetectorTrainConfig``, from a YAML file and as
key=value; ``--help`` names them.
The weights are saved at every look at held-back pictures; Ctrl-C ends the training and keeps what there is.
With --average it trains nothing and keeps the mean of the weights of several trainings:

    python experiments/train_detector.py --settings experiments/face-detector.yaml out_dir=runs/mean \\
        --average runs/one/face_detector.safetensors --average runs/two/face_detector.safetensors
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path

import yaml
from rich.progress import Progress

from toolkit.errors import ConfigError, ToolkitError
from toolkit.experiment import build
from toolkit.training.detector import average_detectors, train_detector
from toolkit.training.detector_config import DetectorTrainConfig


def main() -> None:
    """Train, and tell how it goes."""
    names = ", ".join(field.name for field in fields(DetectorTrainConfig))
    options = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog=f"settings, as key=value: {names}"
    )
    options.add_argument("--settings", help="YAML file with settings of the training")
    options.add_argument("overrides", nargs="*", metavar="key=value")
    options.add_argument("--average", action="append", metavar="WEIGHTS", help="may be repeated: see above")
    given = options.parse_args()
    try:
        config = _config(given.settings, given.overrides)
        if given.average:
            result = average_detectors(config, given.average, lambda _, values: print(_told(values)))
            print(f"the mean of {len(given.average)} trainings in {result.checkpoint}")
            return
        with Progress() as bar:
            task = bar.add_task("learning", total=1.0)
            result = train_detector(
                config,
                lambda progress, values: bar.update(
                    task, completed=progress, description=f"loss {values['train/loss']:.3f}"
                ),
                lambda step, values: bar.console.print(f"step {step}: {_told(values)}"),
            )
    except ToolkitError as error:
        sys.exit(f"error: {error}")
    print(f"{result.steps} steps, weights in {result.checkpoint}")


def _told(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in values.items())


def _config(path: str | None, overrides: list[str]) -> DetectorTrainConfig:
    values = {}
    if path:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot read the settings {path}: {error.strerror}") from error
        values = yaml.safe_load(os.path.expandvars(text))
    for override in overrides:
        key, is_pair, value = override.partition("=")
        if not is_pair:
            raise ConfigError(f"settings are given as key=value, got {override!r}")
        values[key] = yaml.safe_load(value)
    return build(DetectorTrainConfig, values, path or "settings")


if __name__ == "__main__":
    main()
