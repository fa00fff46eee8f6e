"""YOLOX's own ONNX file, made ready to run in what is installed."""

from __future__ import annotations

import hashlib
import importlib
import queue
import threading
from abc import abstractmethod
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from google.protobuf.message import DecodeError

from toolkit.errors import ConfigError, ModelError, did_you_mean
from toolkit.models.choice import choose
from toolkit.models.runtimes.base import Outputs, Runtime, Size, height_width, side_by_side, usable_threads
from toolkit.models.runtimes.openvino_runtime import openvino_core

STRIDES_PX = (8, 16, 32)
"""Of the network's three grids, in the order of its answers."""


class YoloxRuntime(Runtime):
    """A network that takes one picture at a time; those of a batch run side by side, one thread each.

    Args:
        model: the ONNX file, for pictures of one size; its graph is good for any multiple of 32.
        size_px: of the pictures.
        threads: pictures that run at the same time.
    """

    def __init__(self, model: Path, size_px: Size, threads: int) -> None:
        super().__init__(size_px, threads)
        self._open(resized(model, size_px))

    @abstractmethod
    def _open(self, model: onnx.ModelProto) -> None: ...

    @abstractmethod
    def _one(self, image_nchw: np.ndarray) -> np.ndarray:
        """Answers (1, P, 85) for one picture (1, 3, H, W), float32, BGR, 0..255."""

    def _run(self, images_nhwc: np.ndarray) -> Outputs:
        return side_by_side(self._part, images_nhwc, self._cores)

    def _part(self, images_nhwc: np.ndarray) -> Outputs:
        images_nchw = np.ascontiguousarray(images_nhwc.transpose(0, 3, 1, 2), dtype=np.float32)
        return (np.concatenate([self._one(image[None]) for image in images_nchw]),)


class YoloxOnnxRuntime(YoloxRuntime):
    """In ONNX Runtime."""

    name = "onnxruntime"

    def _open(self, model: onnx.ModelProto) -> None:
        runtime = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        # No pool of its own: its threads would spin beside those that decode and detect.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def _one(self, image_nchw: np.ndarray) -> np.ndarray:
        answer: np.ndarray = self._session.run(None, {self._input: image_nchw})[0]
        return answer


class YoloxOpenVinoRuntime(YoloxRuntime):
    """In OpenVINO."""

    name = "openvino"

    def _open(self, model: onnx.ModelProto) -> None:
        core = openvino_core()
        # As for the face model, see OpenVinoRuntime.
        settings = {
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": self.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        }
        compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", settings)
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.threads):
            self._idle.put(compiled.create_infer_request())

    def _one(self, image_nchw: np.ndarray) -> np.ndarray:
        request = self._idle.get()
        try:
            request.infer([image_nchw], share_inputs=True)
            answer: np.ndarray = request.output_tensors[0].data.copy()
            return answer
        finally:
            self._idle.put(request)


class YoloxOpenCvRuntime(YoloxRuntime):
    """In OpenCV's own networks: four times as slow, and always there."""

    name = "opencv"

    def _open(self, model: onnx.ModelProto) -> None:
        self._file = np.frombuffer(model.SerializeToString(), np.uint8)
        # A net holds what it works on: each thread needs its own.
        self._own = threading.local()
        self._net()

    def _net(self) -> Any:
        if not hasattr(self._own, "net"):
            self._own.net = cv2.dnn.readNetFromONNX(self._file)
        return self._own.net

    def _one(self, image_nchw: np.ndarray) -> np.ndarray:
        net = self._net()
        net.setInput(image_nchw)
        answer: np.ndarray = net.forward()
        return answer


_KINDS = {kind.name: kind for kind in (YoloxOnnxRuntime, YoloxOpenVinoRuntime, YoloxOpenCvRuntime)}

RUNTIMES = ("auto", *_KINDS)
"""The names there are."""


def open_yolox(model: Path, size_px: Size, runtime: str = "auto", threads: int | None = None) -> Runtime:
    """Make the file ready to run for pictures of one size.

    Args:
        model: the ONNX file.
        size_px: of the pictures, multiples of 32.
        runtime: one of :data:`RUNTIMES`; "auto" takes the quickest that is installed, see :func:`choose`.
        threads: None takes as many as this process may use cores.

    Raises:
        ConfigError: there is no such runtime.
        ModelError: the file cannot be read.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"no runtime {runtime!r} for a person detector; {did_you_mean(runtime, RUNTIMES)}")
    threads = usable_threads(threads)

    def make(name: str) -> Runtime:
        return _KINDS[name](model, size_px, threads)

    if runtime != "auto":
        return make(runtime)
    digest = hashlib.sha256(model.read_bytes() + str(size_px).encode()).hexdigest()
    return choose(digest, tuple(_KINDS), make, size_px, threads, "cpu")


def resized(path: Path, size_px: Size) -> onnx.ModelProto:
    """The network of the file, for pictures of another size.

    A file says one size; its graph, convolutions and an open ``Reshape``, is good for others. A picture of
    16:9 so costs 62 % of the square that it would have to be filled up to.

    Raises:
        ModelError: it is not an ONNX file of such a network.
    """
    try:
        model = onnx.load(path)
        [image], [output] = model.graph.input, model.graph.output
        channels, *sides = image.type.tensor_type.shape.dim[1:]
    except (OSError, ValueError, DecodeError) as error:
        raise ModelError(f"{path} is not an ONNX file of YOLOX: {error}") from error
    if channels.dim_value != 3:
        raise ModelError(
            f"{path} is not an ONNX file of YOLOX: its pictures have {channels.dim_value} channels"
        )
    for side, value in zip(sides, height_width(size_px), strict=True):
        side.dim_value = value
    height, width = height_width(size_px)
    output.type.tensor_type.shape.dim[1].dim_value = sum(height * width // (s * s) for s in STRIDES_PX)
    # What was computed for the old size.
    del model.graph.value_info[:]
    return model
