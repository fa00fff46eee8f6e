"""The networks of a bench as files, made once for all contenders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from toolkit.bench.models.names import FLOATS, FOLDED, INT8, PLAIN
from toolkit.models.checkpoint import SHIPPED, Checkpoint
from toolkit.models.export import quantized
from toolkit.models.network import Classifier, PictureNetwork
from toolkit.models.runtimes.onnx_file import INPUT, export_onnx
from toolkit.models.runtimes.openvino_runtime import load_openvino, openvino_core

CLASSIFIER_PX = 224

_CALIBRATION_PICTURES = 8  # noise: for the speed it is all the same what the ranges are


def network_named(name: str) -> tuple[PictureNetwork, int]:
    """The shipped network, or a timm classifier with random weights; and the side of its pictures."""
    if name == SHIPPED:
        checkpoint = Checkpoint.load()
        return checkpoint.network, checkpoint.card.image_px
    torch.manual_seed(0)
    return Classifier(name).eval(), CLASSIFIER_PX


@contextmanager
def model_files(names: Iterable[str], needed: Collection[str]) -> Iterator[tuple[Path, dict[str, int]]]:
    """A folder with one folder for each network, and the sides of their pictures in pixels.

    Args:
        names: of the networks.
        needed: what to write for each, by the names of :mod:`toolkit.bench.models.names`.

    Raises:
        ModelError: there is no such network.
    """
    with TemporaryDirectory(prefix="toolkit-bench-models-") as temporary:
        sizes_px = {}
        for name in names:
            network, sizes_px[name] = network_named(name)
            folder = Path(temporary, name)
            folder.mkdir()
            _write(network, sizes_px[name], folder, needed)
        yield Path(temporary), sizes_px


class _Alone(torch.nn.Module):
    def __init__(self, network: PictureNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images_nchw: torch.Tensor) -> Any:
        return self.network.of_rgb(images_nchw)


def _write(network: PictureNetwork, size_px: int, folder: Path, needed: Collection[str]) -> None:
    if FOLDED in needed or INT8 in needed:
        export_onnx(network, size_px, folder / FOLDED)
    if PLAIN in needed:
        pictures = torch.zeros((2, size_px, size_px, 3), dtype=torch.uint8)
        _export_as_it_is(network, pictures, folder / PLAIN)
    if FLOATS in needed:
        _export_as_it_is(_Alone(network).eval(), torch.zeros((2, 3, size_px, size_px)), folder / FLOATS)
    if INT8 in needed:
        openvino = load_openvino()
        shape = (_CALIBRATION_PICTURES, size_px, size_px, 3)
        noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        model = quantized(openvino_core().read_model(folder / FOLDED), noise)
        openvino.save_model(model, folder / INT8, compress_to_fp16=False)


def _export_as_it_is(network: torch.nn.Module, example: torch.Tensor, path: Path) -> None:
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        verbose=False,
        input_names=[INPUT],
        dynamic_shapes=({0: torch.export.Dim("n")},),
    )
    path.write_bytes(program.model_proto.SerializeToString())  # type: ignore[union-attr]
