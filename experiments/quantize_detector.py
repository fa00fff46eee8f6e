"""Write a face detector in eight bits beside its weights, and tell what that costs on made pictures.

    python experiments/quantize_detector.py runs/detector/face_detector.safetensors

It needs NNCF (``pip install 'toolkit[int8]'``) and the faces the detector learned from. Ranges are taken from
made pictures of faces in the split val; average precision is told on others of them, and where it falls by
more than ``--most-loss``, nothing is written.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from compare_detectors import look, made_pictures

from toolkit.errors import ToolkitError
from toolkit.evaluation.detection import average_precision, detection_curve
from toolkit.models.detector.checkpoint import DetectorCheckpoint, weights_path
from toolkit.models.detector.finder import FaceFinder
from toolkit.models.detector.int8 import RUNTIME, add_int8, write_int8

FOR_RANGES = 64

_LEAST_SCORE = 0.02


def main() -> None:
    """Make it, measure it, and keep it if it is good."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("checkpoint", help='weights, or "shipped"')
    options.add_argument("--data", default="fairface_train_112", help="pack whose split val is looked at")
    options.add_argument("--made", type=int, default=100, metavar="N", help="pictures to measure it on")
    options.add_argument("--most-loss", type=float, default=0.02, help="of average precision; default 0.02")
    given = options.parse_args()
    try:
        sys.exit(_made(given))
    except ToolkitError as error:
        sys.exit(f"error: {error}")


def _made(given: argparse.Namespace) -> str | None:
    checkpoint = DetectorCheckpoint.load(given.checkpoint)
    pictures = made_pictures(given.data, FOR_RANGES + given.made)
    # Of the shape of most cameras' pictures.
    ranges = np.stack([picture[:360] for picture, _, _ in pictures[:FOR_RANGES]])
    with tempfile.TemporaryDirectory() as folder:
        path = write_int8(checkpoint.network, ranges, Path(folder, "int8.xml"))
        worth = {}
        for runtime in ("openvino", RUNTIME):
            finder = FaceFinder(
                checkpoint, score_threshold=_LEAST_SCORE, runtime=runtime, int8=path, looks_twice=False
            )
            worth[runtime] = average_precision(detection_curve(look(finder, pictures[FOR_RANGES:])))
            print(f"{runtime}: average precision {worth[runtime]:.3f} on {given.made} made pictures")
    if worth["openvino"] - worth[RUNTIME] > given.most_loss:
        return f"error: eight bits cost more than {given.most_loss}; nothing was written"
    print(f"written: {add_int8(checkpoint, ranges, weights_path(given.checkpoint))}")
    return None


if __name__ == "__main__":
    main()
