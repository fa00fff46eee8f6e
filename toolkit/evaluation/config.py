"""What one evaluation is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ConfigError, did_you_mean

CORRUPTION_NAMES = ("blur", "low_resolution", "night", "jpeg", "h264", "occlusion")
"""What can be done to pictures to see when a model breaks; :mod:`toolkit.evaluation.corruption` says how."""


@dataclass(frozen=True)
class EvaluateConfig:
    """What is judged, on which faces, and how closely.

    Attributes:
        subject: "shipped", the path of a trained model, or a table of predictions (.csv, .parquet).
        against: a second subject, judged on the same faces; None for none.
        data: a face pack by name or path; a table of predictions brings its own labels.
        split: the part of the pack; "all" takes every row.
        limit: a random sample of so many faces; None takes all.
        temperature_from: faces to fit temperatures on, ``PACK:SPLIT``, or a table of predictions; never the
            ones that are judged. None fits none.
        corruptions: names out of ``CORRUPTION_NAMES``; each is tried at five severities.
        corruption_faces: a random sample of so many faces is corrupted; all would take 30 times as long.
        resamples: of the bootstrap behind every 95 % interval; 0 leaves the intervals out.
        seed: of the sample, the corruptions and the bootstrap.
        device: "auto" or a torch device.
        runtime: what runs a model; "torch" in full precision, so that a figure does not depend on what this
            machine is quick with. See :func:`toolkit.models.runtime.open_runtime`.
    """

    subject: str = "shipped"
    against: str | None = None
    data: str = "fairface_test_128"
    split: str = "test"
    limit: int | None = None
    temperature_from: str | None = None
    corruptions: tuple[str, ...] = ()
    corruption_faces: int = 1000
    resamples: int = 1000
    seed: int = 0
    device: str = "auto"
    runtime: str = "torch"

    def __post_init__(self) -> None:
        for name, least in (("limit", 1), ("corruption_faces", 1), ("resamples", 0), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} must be at least {least}, got {value}")
        for subject in filter(None, (self.subject, self.against)):
            _check_is_subject(subject)
        for name in self.corruptions:
            if name not in CORRUPTION_NAMES:
                raise ConfigError(f"no corruption {name!r}; {did_you_mean(name, CORRUPTION_NAMES)}")
        if self.corruptions and is_table(self.subject):
            raise ConfigError(
                f"corruptions need a model that looks at pictures; {self.subject} holds its predictions alone"
            )


def is_table(subject: str) -> bool:
    """Whether the name is that of a table of predictions."""
    return subject.lower().endswith((".csv", ".parquet"))


def _check_is_subject(subject: str) -> None:
    """Refuse another kind of file at once: the libraries that would stumble over it take seconds to load."""
    path = Path(subject)
    if path.is_file() and path.suffix != ".safetensors" and not is_table(subject):
        raise ConfigError(
            f"{subject} cannot be judged: give a trained model (.safetensors), a folder that toolkit export "
            "wrote, a table of predictions (.csv, .parquet), or 'shipped'"
        )
