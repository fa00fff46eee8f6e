"""OpenVINO: a network in a few fixed sizes of batch, many of them at once."""

from __future__ import annotations

import functools
import importlib
import logging
import queue
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from toolkit.errors import ModelError
from toolkit.models.runtimes.base import Outputs, Runtime, Size, height_width

SIZES = (8, 4, 2, 1)
"""Batches it is compiled for. With the size left open a picture takes a third to a half longer, and one batch
of 8 is as quick per picture as one of 32 (``toolkit bench model``: openvino-plain leaves it open)."""

_IN_LINE = 2
"""Pieces begun per thread: whoever ends one finds the next, and need not wait until Python has woken up."""

Made = TypeVar("Made")


class OpenVinoRuntime(Runtime):
    """OpenVINO on the CPU. A batch is cut into pieces, which run side by side, one thread each.

    Args:
        model: an ONNX file, or OpenVINO's own .xml with its .bin.
        size_px: of its pictures.
        threads: pieces that run at the same time.

    Raises:
        ModelError: the file cannot be loaded.
    """

    name = "openvino"
    precision = "f32"

    def __init__(self, model: Path, size_px: Size, threads: int) -> None:
        super().__init__(size_px, threads)
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "INFERENCE_PRECISION_HINT": self.precision,
            # Which cores are ours, the operating system says; bound threads would fight over the first ones.
            "ENABLE_CPU_PINNING": False,
        }
        self._idle: dict[int, queue.SimpleQueue[Any]] = {}
        core = openvino_core()
        try:
            read = core.read_model(model)
            for size in SIZES:
                read.reshape([size, *height_width(size_px), 3])
                compiled = core.compile_model(read, "CPU", settings)
                self._idle[size] = queue.SimpleQueue()
                for _ in range(_IN_LINE * threads):
                    self._idle[size].put(compiled.create_infer_request())
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot load {model}: {error}") from error

    def _run(self, images_nhwc: np.ndarray) -> Outputs:
        images_nhwc = np.ascontiguousarray(images_nhwc)
        with self._cores.take(len(images_nhwc)) as share:
            # All are begun at once, whatever the share: one after the other was slower beside other work.
            return self._in_pieces(images_nhwc, pieces(len(images_nhwc), share))

    def _in_pieces(self, images_nhwc: np.ndarray, sizes: list[int]) -> Outputs:
        running: list[tuple[int, Any]] = []
        parts: list[Outputs] = []
        start = 0
        try:
            for size in sizes:
                request = self._idle_request(size, running, parts)
                running.append((size, request))
                request.start_async([images_nhwc[start : start + size]], share_inputs=True)
                start += size
            while running:
                self._finish(running, parts)
        finally:
            # Only after an error or Ctrl-C; who takes them next waits until they have come to their end.
            for size, request in running:
                self._idle[size].put(request)
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def _idle_request(self, size: int, running: list[tuple[int, Any]], parts: list[Outputs]) -> Any:
        """A free request. Who holds some waits for his own first: two such callers would wait for ever."""
        while True:
            try:
                request = self._idle[size].get(block=not running)
            except queue.Empty:
                self._finish(running, parts)
            else:
                request.wait()
                return request

    def _finish(self, running: list[tuple[int, Any]], parts: list[Outputs]) -> None:
        """Take the answer of the piece that was begun first."""
        size, request = running[0]
        request.wait()
        parts.append(tuple(tensor.data.copy() for tensor in request.output_tensors))
        del running[0]
        self._idle[size].put(request)


class OpenVinoHalfRuntime(OpenVinoRuntime):
    """The same in bfloat16: quicker on CPUs with units for it (AMX), slower on others."""

    name = "openvino-bf16"
    precision = "bf16"


def load_openvino() -> Any:
    """The package ``openvino``, with its reports of use switched off.

    Importing it would send one to its makers, without being asked; where that part of it is missing, it does
    without.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


def load_nncf() -> Any:
    """The package ``nncf``, which makes eight bits, told to keep quiet.

    Raises:
        ModelError: it is not installed.
    """
    load_openvino()
    try:
        nncf = importlib.import_module("nncf")
    except ImportError as error:
        raise ModelError("int8 needs NNCF: pip install 'toolkit[int8]'") from error
    # Not nncf.set_log_level, which also silences whatever handlers others have put there.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


@functools.cache
def openvino_core() -> Any:
    """The one ``openvino.Core`` of this process, with the CPU ready."""
    return in_a_thread_of_its_own(_make_core)


def in_a_thread_of_its_own(make: Callable[[], Made]) -> Made:
    """Call something that makes an ``openvino.Core``, and wait for what it returns.

    With a core the thread it is made in gets a stack for signals, which is freed wherever the core ends. A
    main thread that was left without would end the process at its next signal: an interrupted cell, Ctrl-C.
    """
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(make).result()


def _make_core() -> Any:
    core = load_openvino().Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")  # loads what runs on it, which is what brings the stack
    return core


def pieces(count: int, threads: int) -> list[int]:
    """Cut a batch into compiled sizes, about as many for each thread; largest first."""
    share = max(1, -(-count // threads))
    largest = next(size for size in SIZES if size <= share)
    cut = [largest] * (count // largest)
    rest = count - largest * len(cut)
    for size in SIZES:
        if size <= rest:
            cut.append(size)
            rest -= size
    return cut
