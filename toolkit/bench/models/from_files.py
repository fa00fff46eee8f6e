"""Contenders that read a file: ours, the same libraries as one uses them, and the network alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from toolkit.bench.models.names import FLOATS, FOLDED, INT8, PLAIN
from toolkit.models.runtimes.onnx_runtime import OnnxRuntime
from toolkit.models.runtimes.openvino_runtime import (
    OpenVinoHalfRuntime,
    OpenVinoRuntime,
    openvino_core,
)


def onnxruntime(folder: Path, settings: dict[str, Any]) -> Any:
    """Ours."""
    return OnnxRuntime(folder / FOLDED, settings["size_px"], settings["threads"])


def openvino(folder: Path, settings: dict[str, Any]) -> Any:
    """Ours."""
    return OpenVinoRuntime(folder / FOLDED, settings["size_px"], settings["threads"])


def openvino_bf16(folder: Path, settings: dict[str, Any]) -> Any:
    """Ours."""
    return OpenVinoHalfRuntime(folder / FOLDED, settings["size_px"], settings["threads"])


def openvino_int8(folder: Path, settings: dict[str, Any]) -> Any:
    """Ours, exported."""
    return OpenVinoRuntime(folder / INT8, settings["size_px"], settings["threads"])


def onnxruntime_plain(folder: Path, settings: dict[str, Any]) -> Any:
    """A session with so many threads for each layer."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings["threads"]
    session = onnxruntime.InferenceSession(folder / PLAIN, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})


def openvino_plain(folder: Path, settings: dict[str, Any]) -> Any:
    """Compiled as it was read, the size of batches left open, in single precision."""
    core = openvino_core()
    hints = {"INFERENCE_NUM_THREADS": settings["threads"], "INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(folder / PLAIN, "CPU", hints)


def network_alone(folder: Path, settings: dict[str, Any]) -> Any:
    """The network in OpenVINO for this one size of batch, on floats that are there already."""
    core = openvino_core()
    model = core.read_model(folder / FLOATS)
    shape = [settings["batch"], 3, settings["size_px"], settings["size_px"]]
    model.reshape(shape)
    hints = {"INFERENCE_NUM_THREADS": settings["threads"], "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    floats = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return lambda images: request.infer([floats], share_inputs=True)
