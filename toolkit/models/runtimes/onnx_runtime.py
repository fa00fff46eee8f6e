"""ONNX Runtime: quick to start, good on any CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toolkit.errors import ModelError
from toolkit.models.runtimes.base import Outputs, Runtime, Size, side_by_side


class OnnxRuntime(Runtime):
    """An ONNX file in ONNX Runtime. The parts of a batch run side by side, one thread each.

    Raises:
        ModelError: the file cannot be loaded.
    """

    name = "onnxruntime"

    def __init__(self, model: Path, size_px: Size, threads: int) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as refusals

        super().__init__(size_px, threads)
        options = onnxruntime.SessionOptions()
        # No pool of its own: its threads would spin beside those that decode and detect.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )
        except (refusals.Fail, refusals.InvalidProtobuf, refusals.NoSuchFile, refusals.InvalidGraph) as error:
            raise ModelError(f"ONNX Runtime cannot load {model}: {error}") from error
        self._input = self._session.get_inputs()[0].name

    def _run(self, images_nhwc: np.ndarray) -> Outputs:
        return side_by_side(self._part, images_nhwc, self._cores)

    def _part(self, images_nhwc: np.ndarray) -> Outputs:
        return tuple(self._session.run(None, {self._input: images_nhwc}))
