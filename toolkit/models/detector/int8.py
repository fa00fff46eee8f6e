"""The detector in eight bits for OpenVINO: made once, beside its weights, and checked when it is opened."""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from timm.layers import ConvNormAct
from torch import nn

from toolkit.errors import ModelError
from toolkit.models.detector.checkpoint import DetectorCard, DetectorCheckpoint
from toolkit.models.detector.network import DetectorNetwork, DetectorOutputs
from toolkit.models.runtimes.base import Size
from toolkit.models.runtimes.onnx_file import export_as_it_is
from toolkit.models.runtimes.openvino_runtime import (
    OpenVinoRuntime,
    in_a_thread_of_its_own,
    load_nncf,
    load_openvino,
    openvino_core,
)

RUNTIME = "openvino-int8"
"""The name to ask for it by."""

_ANSWERS = 5
_EXPORTED_PX = (360, 640)


class DetectorInt8Runtime(OpenVinoRuntime):
    """OpenVINO with weights and most of what lies between the layers in eight bits.

    Args:
        model: the .xml that :func:`write_int8` wrote.
        size_px: of its pictures.
        threads: pieces that run at the same time.

    Raises:
        ModelError: the file cannot be loaded.
    """

    name = RUNTIME

    def __init__(self, model: Path, size_px: Size, threads: int) -> None:
        super().__init__(model, size_px, threads)
        self.reason = f"{model.name}, made for these weights"


def int8_path(weights: Path) -> Path:
    """Where the eight bits of some weights lie; OpenVINO's .bin is beside it."""
    return weights.with_name(f"{weights.stem}_int8.xml")


def int8_beside(weights: Path, card: DetectorCard) -> Path | None:
    """The eight bits that belong to some weights; None where there are none.

    Raises:
        ModelError: the card names some, and they are missing or others.
    """
    if not card.int8_sha256:
        return None
    path = int8_path(weights)
    if _digest(path) != card.int8_sha256:
        raise ModelError(f"{path} and its .bin are missing, damaged, or not those its card describes")
    return path


def add_int8(checkpoint: DetectorCheckpoint, pictures_nhwc: np.ndarray, weights: Path) -> Path:
    """Write a saved checkpoint's eight bits beside its weights, and their digest into its card.

    Args:
        checkpoint: as it was loaded.
        pictures_nhwc: see :func:`write_int8`.
        weights: the file it was loaded from.

    Returns:
        The path of the .xml.

    Raises:
        ModelError: see :func:`write_int8`.
    """
    path = write_int8(checkpoint.network, pictures_nhwc, int8_path(weights))
    card = replace(checkpoint.card, int8_sha256=_digest(path))
    weights.with_suffix(".json").write_bytes(card.as_json())
    return path


def can_run() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def write_int8(network: DetectorNetwork, pictures_nhwc: np.ndarray, path: Path) -> Path:
    """Write a detector in eight bits; gives the path of the .xml.

    The last layers stay as they are: their answers span too much for eight bits.

    Args:
        network: is left as it is.
        pictures_nhwc: (N, H, W, 3), uint8, BGR: pictures like those it will see; their ranges count.
        path: of the .xml.

    Raises:
        ModelError: NNCF is not installed, or the network cannot be exported.

    Source: static quantization of NNCF, https://github.com/openvinotoolkit/nncf, Apache-2.0.
    """
    nncf = load_nncf()
    with tempfile.TemporaryDirectory() as folder:
        onnx = export_as_it_is(
            _OfBytes(network).eval(), _EXPORTED_PX, Path(folder, "model.onnx"), takes_any_size=True
        )
        model = openvino_core().read_model(onnx)
        dataset = nncf.Dataset([picture[None] for picture in pictures_nhwc])
        last = nncf.IgnoredScope(names=_last_layers(model))
        quantized = in_a_thread_of_its_own(
            lambda: nncf.quantize(model, dataset, ignored_scope=last, subset_size=len(pictures_nhwc))
        )
        _take_bytes_as_they_are(quantized)
        load_openvino().save_model(quantized, path, compress_to_fp16=False)
    return path


def _take_bytes_as_they_are(model: Any) -> None:
    """Let the first layer's range be that of bytes: nothing is clipped, and there is nothing to be done.

    What NNCF takes from some pictures ends below 255, where none of them was that bright.
    """
    first = next(layer for layer in model.get_ordered_ops() if layer.get_type_name() == "FakeQuantize")
    for number, end in zip(range(1, 5), (0, 255) * 2, strict=True):
        old = first.input_value(number).get_node()
        constant = load_openvino().op.Constant(np.full(old.shape, end, np.float32))
        first.input(number).replace_source_output(constant.output(0))


class _OfBytes(nn.Module):
    """The same network, its first layer made to take bytes as they lie in memory.

    Four pixels side by side are twelve channels, and the mean, without padding, is a bias: nothing is left
    between the bytes and the first layer.
    """

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        self.network = network.folded()
        layer = cast(ConvNormAct, self.network.backbone.stem)
        first = layer.conv
        weight_bgr = (first.weight.data / network.std).flip(1)
        wide, _, side, _ = weight_bgr.shape
        stem = nn.Conv2d(3 * side, wide, (side, 1), (side, 1))
        stem.weight.data = weight_bgr.permute(0, 3, 1, 2).reshape(wide, 3 * side, side, 1)
        stem.bias = nn.Parameter(-(weight_bgr * network.mean.flip(1)).sum(dim=(1, 2, 3)))
        layer.conv = stem
        self._side = side

    def forward(self, images_nhwc: torch.Tensor) -> DetectorOutputs:
        count, height, width, _ = images_nhwc.shape
        across = width // self._side
        rows = images_nhwc[:, :, : across * self._side].reshape(count, height, across, 3 * self._side)
        return DetectorOutputs(*self.network.of_rgb(rows.permute(0, 3, 1, 2).float()))


def _digest(path: Path) -> str:
    """Of both files; empty where one of them is missing."""
    digest = hashlib.sha256()
    try:
        for part in (path, path.with_suffix(".bin")):
            digest.update(part.read_bytes())
    except FileNotFoundError:
        return ""
    return digest.hexdigest()


def _last_layers(model: Any) -> list[str]:
    convolutions = [layer for layer in model.get_ops() if layer.get_type_name() == "Convolution"]
    return [c.get_friendly_name() for c in convolutions if c.get_output_partial_shape(0)[1] == _ANSWERS]
