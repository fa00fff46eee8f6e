"""``toolkit export``: a trained model as ONNX or OpenVINO, in a folder that other programs can use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from toolkit.errors import ConfigError
from toolkit.models.detector.kind import is_detector
from toolkit.terminal import NEW_FOLDER, check_checkpoint, doing, json_option, out, write_json

# As toolkit.models.export.KINDS, which would load torch for a --help.
_KINDS = ("onnx", "openvino", "openvino-int8")

_FORMS = {
    "gender_accuracy": ".2%",
    "age_mae_years": ".3f",
    "age_group_accuracy": ".2%",
    "age_group_one_off": ".2%",
}
"""How scores are written, in the order of the columns: int8 changes little, so more digits than elsewhere."""


@click.command()
@click.argument("checkpoint", default="shipped")
@click.option("--to", "kind", type=click.Choice(_KINDS), default="onnx", show_default=True)
@click.option(
    "-o",
    "--out",
    "folder",
    type=NEW_FOLDER,
    required=True,
    help="Folder for the network and its card.",
)
@click.option("--calibration", metavar="PACK", help="For int8: a pack of faces like those it will see.")
@click.option("--data", metavar="PACK", help="Labelled faces to score it on, beside torch.")
@json_option
def export(
    checkpoint: str,
    kind: str,
    folder: Path,
    calibration: str | None,
    data: str | None,
    json_path: Path | None,
) -> None:
    """Export CHECKPOINT (a .safetensors file, "shipped", or "face-detector") for other programs.

    The network takes uint8 BGR pictures (n, S, S, 3), any number at a time; normalisation is part of it.
    Its outputs are held against torch's. The folder can be used wherever a checkpoint can:
    toolkit live live.checkpoint=FOLDER.

    \b
      toolkit export --to onnx -o exported
      toolkit export face-detector --to openvino -o exported-detector
      toolkit export best.safetensors --to openvino-int8 --calibration fairface_train_112
          --data fairface_test_128 -o exported-int8
    """
    _refuse_what_cannot_be(checkpoint, kind, calibration)
    with doing("loading torch"):
        from toolkit.export_run import run_export
    with doing(f"exporting to {kind}" + (", and scoring it" if data else "")):
        result = run_export(checkpoint, kind, folder, calibration, data)
    card = result["card"]
    out.print(
        f"{folder / card['file']}: its outputs differ from torch's by {card['difference_from_torch']:.2g} "
        "of their size (root mean square, median picture)",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if "scores" in result:
        out.print(_score_table(result["scores"]))
    write_json(json_path, result)


def _refuse_what_cannot_be(checkpoint: str, kind: str, calibration: str | None) -> None:
    """A slip is told before torch is loaded, which takes many seconds."""
    if is_detector(checkpoint):
        return
    check_checkpoint(checkpoint)
    if (kind == "openvino-int8") != (calibration is not None):
        raise ConfigError(
            "--to openvino-int8 needs --calibration PACK, a pack of faces; nothing else takes one"
        )


def _score_table(scores: dict[str, dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for title in ("model", "faces", "gender", "years off", "age group", "one off"):
        table.add_column(title, justify="left" if title == "model" else "right")
    for name, one in scores.items():
        # Labels that tell no age, as those of gender alone, have no score of it.
        cells = ["–" if one[key] is None else format(one[key], form) for key, form in _FORMS.items()]
        table.add_row(name, str(one["n"]), *cells)
    return table
