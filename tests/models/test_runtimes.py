"""Runtimes: whatever runs a network, its answers are torch's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torch._inductor.config
from torch import nn

from toolkit.errors import ConfigError, ModelError, ShapeError
from toolkit.models.network import Classifier, FaceNetwork, PictureNetwork
from toolkit.models.runtime import RUNTIMES, Runtime, open_runtime
from toolkit.models.runtimes.base import Outputs, as_arrays, difference, usable_threads
from toolkit.models.runtimes.eager import EagerRuntime
from toolkit.models.runtimes.folded import FoldedNetwork, fold
from toolkit.models.runtimes.onnx_file import export_onnx
from toolkit.models.runtimes.onnx_runtime import OnnxRuntime
from toolkit.models.runtimes.openvino_runtime import OpenVinoRuntime, pieces

SIDE_PX = 32
ON_CPU = [name for name in RUNTIMES if name not in ("auto", "torch-graphs", "torch-compiled")]
# What bfloat16 costs: 8 bits instead of 24.
FAR = {name: 0.03 if name.endswith("bf16") else 1e-4 for name in RUNTIMES}


def pictures(count: int, side_px: int = SIDE_PX) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, side_px, side_px, 3), dtype=np.uint8)


def torch_says(network: nn.Module, images_nhwc: np.ndarray) -> tuple[np.ndarray, ...]:
    """The network itself, unfolded, in single precision: the truth."""
    with torch.inference_mode():
        return as_arrays(network(torch.from_numpy(images_nhwc)))


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """On a busy machine torch's own threads would wait for each other, for seconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class TwoAnswers(PictureNetwork):
    """Small enough to be compiled within a test."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def of_rgb(self, images_nchw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.norm(self.stem(images_nchw)).relu().mean((2, 3))
        return features.sum(1), self.head(features)


@pytest.fixture(scope="module")
def network() -> FaceNetwork:
    torch.manual_seed(0)
    return FaceNetwork("test_resnet").eval()


@pytest.fixture(scope="module")
def opened(network: FaceNetwork, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Runtime]:
    """Opens a runtime of the network once, two threads, with a cache of its own."""
    made: dict[str, Runtime] = {}
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setattr("toolkit.models.runtimes.onnx_file.cache_folder", lambda: folder)

        def get(name: str) -> Runtime:
            return made.setdefault(name, made.get(name) or open_runtime(network, SIDE_PX, name, threads=2))

        yield get


@pytest.mark.parametrize("name", ON_CPU)
@pytest.mark.parametrize("count", [1, 2, 7, 33])
def test_every_runtime_answers_as_torch_does_whatever_the_batch(
    name: str, count: int, network: FaceNetwork, opened: Callable[[str], Runtime]
) -> None:
    images = pictures(count)

    outputs = opened(name)(images)

    assert [array.dtype for array in outputs] == [np.float32, np.float32]
    assert difference(outputs, torch_says(network, images)) < FAR[name]


@pytest.mark.parametrize("name", ON_CPU)
def test_many_callers_get_each_their_own_answers(
    name: str, network: FaceNetwork, opened: Callable[[str], Runtime]
) -> None:
    batches = [pictures(count) for count in (1, 9, 3, 16, 2, 5)]
    runtime = opened(name)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(runtime, batches * 3))

    for images, outputs in zip(batches * 3, answers, strict=True):
        assert difference(outputs, torch_says(network, images)) < FAR[name]


def test_calls_that_overlap_leave_torch_its_own_number_of_threads() -> None:
    first_is_in, second_is_in, first_is_out = threading.Event(), threading.Event(), threading.Event()

    class Waiting(EagerRuntime):
        def _answer(self, images_nhwc: np.ndarray) -> Outputs:
            is_first = not first_is_in.is_set()
            (first_is_in if is_first else second_is_in).set()
            assert (second_is_in if is_first else first_is_out).wait(10)
            return super()._answer(images_nhwc)

    runtimes = [Waiting(TwoAnswers().eval(), SIDE_PX, threads=1) for _ in range(2)]
    torch.set_num_threads(3)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(runtimes[0], pictures(1))
        assert first_is_in.wait(10)
        second = pool.submit(runtimes[1], pictures(1))
        first.result(10)
        first_is_out.set()
        second.result(10)
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(torch.get_num_threads).result()
    torch.set_num_threads(1)

    assert seen == 3


def test_a_compiled_network_answers_as_torch_does_and_is_compiled_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without helpers: they would outlive the test.
    monkeypatch.setattr(torch._inductor.config, "compile_threads", 1)
    torch.manual_seed(0)
    network = TwoAnswers().eval()
    runtime = open_runtime(network, SIDE_PX, "torch-compiled", threads=2)

    compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for count in (1, 2, 9):
        images = pictures(count)
        assert difference(runtime(images), torch_says(network, images)) < 1e-4
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == compiled


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["torch", "torch-bf16", "torch-graphs"])
def test_on_a_gpu_the_answers_are_the_same(name: str, network: FaceNetwork) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    runtime = open_runtime(network, SIDE_PX, name, device="cuda")

    for count in (1, 3, 130):
        images = pictures(count)
        assert difference(runtime(images), torch_says(network, images)) < (1e-2 if name == "torch" else 0.05)


def test_a_plain_classifier_gives_one_array_of_logits() -> None:
    torch.manual_seed(0)
    network = Classifier("test_resnet").eval()
    images = pictures(3)

    (logits,) = open_runtime(network, SIDE_PX, "torch")(images)

    assert logits.shape == (3, 1000)
    assert difference((logits,), torch_says(network, images)) < 1e-4


def test_folding_changes_no_answer_and_not_the_network(network: FaceNetwork) -> None:
    before = [parameter.clone() for parameter in network.parameters()]
    images = pictures(4)

    folded = fold(network, SIDE_PX)

    assert isinstance(folded, FoldedNetwork)
    assert difference(torch_says(folded, images), torch_says(network, images)) < 1e-5
    assert all(map(torch.equal, before, network.parameters()))


def test_a_network_that_cannot_be_folded_is_run_as_it_is() -> None:
    class Odd(TwoAnswers):
        """Looks at the picture in two ways."""

        def of_rgb(self, images_nchw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            total, answer = super().of_rgb(images_nchw)
            return total + images_nchw.mean((1, 2, 3)), answer

    network = Odd().eval()
    images = pictures(2)

    folded = fold(network, SIDE_PX)

    assert not isinstance(folded, FoldedNetwork)
    assert difference(torch_says(folded, images), torch_says(network, images)) < 1e-6


@pytest.mark.parametrize(
    ("count", "threads", "expected"),
    [
        (1, 4, [1]),
        (8, 1, [8]),
        (13, 1, [8, 4, 1]),
        (32, 2, [8, 8, 8, 8]),
        (9, 2, [4, 4, 1]),
        (3, 2, [2, 1]),
    ],
)
def test_a_batch_is_cut_into_sizes_that_were_compiled(count: int, threads: int, expected: list[int]) -> None:
    assert pieces(count, threads) == expected


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((0, SIDE_PX, SIDE_PX, 3), np.uint8),
        np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8),
        np.zeros((1, SIDE_PX, SIDE_PX, 3), np.float32),
        np.zeros((1, 16, 16, 3), np.uint8),
    ],
    ids=["empty", "one picture", "floats", "small"],
)
def test_what_is_no_batch_is_refused(batch: np.ndarray, opened: Callable[[str], Runtime]) -> None:
    with pytest.raises(ShapeError, match="a batch must"):
        opened("torch")(batch)


def test_an_unknown_runtime_names_the_nearest(network: FaceNetwork) -> None:
    with pytest.raises(ConfigError, match="no runtime 'openvno'; did you mean 'openvino'"):
        open_runtime(network, SIDE_PX, "openvno")


@pytest.mark.parametrize(("name", "device"), [("openvino", "cuda"), ("torch-graphs", "cpu")])
def test_a_runtime_on_the_wrong_device_is_refused(name: str, device: str, network: FaceNetwork) -> None:
    with pytest.raises(ConfigError, match="use 'torch'"):
        open_runtime(network, SIDE_PX, name, device=device)


@pytest.mark.parametrize("kind", [OnnxRuntime, OpenVinoRuntime])
def test_a_file_that_is_no_model_is_refused(kind: type[Runtime], tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08no model")

    with pytest.raises(ModelError, match=r"cannot load .*model\.onnx"):
        kind(tmp_path / "model.onnx", SIDE_PX, 1)


def test_openvino_reports_to_nobody(tmp_path: Path) -> None:
    code = (
        "import sys; from toolkit.models.runtimes.openvino_runtime import load_openvino; load_openvino();"
        "sys.exit(any(name.startswith('openvino_telemetry.') for name in sys.modules))"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}

    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_threads_are_those_this_process_may_use() -> None:
    assert usable_threads(3) == 3
    assert usable_threads() >= 1
    with pytest.raises(ConfigError, match="threads must be at least 1, got 0"):
        usable_threads(0)


def test_a_signal_after_a_runtime_was_let_go_in_another_thread_does_not_end_the_process(
    tmp_path: Path, network: FaceNetwork
) -> None:
    export_onnx(network, SIDE_PX, tmp_path / "model.onnx")
    script = """
import signal, sys, threading
from pathlib import Path
from toolkit.models.runtimes.openvino_runtime import OpenVinoRuntime
runtimes = [OpenVinoRuntime(Path(sys.argv[1]), int(sys.argv[2]), 1)]
letting_go = threading.Thread(target=runtimes.clear)
letting_go.start()
letting_go.join()
signal.signal(signal.SIGTERM, lambda *_: print("interrupted"))
signal.raise_signal(signal.SIGTERM)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "model.onnx"), str(SIDE_PX)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert (ended.returncode, ended.stdout.strip()) == (0, "interrupted"), ended.stderr
