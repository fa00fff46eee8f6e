"""Two processes train as one, on CPUs."""

from __future__ import annotations

import json
import os
import runpy
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from made_faces import write_pack
from safetensors.torch import load_file

from toolkit.errors import ConfigError
from toolkit.training.config import TrainConfig
from toolkit.training.loop import Training
from toolkit.training.ranks import Ranks

_TRAIN = """
import json, sys
from pathlib import Path
from safetensors.torch import save_file
from toolkit.training.config import TrainConfig
from toolkit.training.loop import Training
from toolkit.training.ranks import Ranks

def learn(config, folder):
    with Ranks() as ranks:
        training = Training(TrainConfig(**config), ranks=ranks)
        training.run()
        weights = {name: p.detach().contiguous() for name, p in training.network.named_parameters()}
        save_file(weights, Path(folder) / f"rank{ranks.rank}.safetensors")
        told = {"best_epoch": training.result.best_epoch, "steps": training.result.steps}
        (Path(folder) / f"rank{ranks.rank}.json").write_text(json.dumps(told))

if __name__ == "__main__":
    learn(json.loads(sys.argv[1]), sys.argv[2])
"""


def test_two_processes_end_with_the_same_weights_and_one_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(
        data=str(write_pack(tmp_path / "made.parquet", train=48, val=12)),
        backbone="test_resnet",
        image_px=32,
        epochs=2,
        batch_size=8,
        minutes=5.0,
        device="cpu",
        out_dir=str(tmp_path / "out"),
    )
    script = tmp_path / "together.py"
    script.write_text(_TRAIN)
    # What torchrun gives its processes. This one is the first: each more loads torch, which takes seconds.
    of_all = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port())}
    for name, value in (of_all | {"RANK": "0", "LOCAL_RANK": "0"}).items():
        monkeypatch.setenv(name, value)

    with subprocess.Popen(
        [sys.executable, str(script), json.dumps(asdict(config)), str(tmp_path)],
        env=os.environ | {"RANK": "1", "LOCAL_RANK": "1"},
    ) as other_process:
        runpy.run_path(str(script))["learn"](asdict(config), tmp_path)

        assert other_process.wait(120) == 0
    one, other = (load_file(tmp_path / f"rank{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(one[name], other[name]) for name in one)
    told = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert told[0] == told[1] == {"best_epoch": told[0]["best_epoch"], "steps": 12}
    assert (tmp_path / "out" / "best.safetensors").is_file()


def test_a_batch_that_leaves_a_process_without_a_face_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    pack = str(write_pack(tmp_path / "made.parquet", train=8, val=4))

    with pytest.raises(ConfigError, match="3 processes share every batch: batch_size must be at least that"):
        Training(TrainConfig(pack, "test_resnet", image_px=32, batch_size=2, device="cpu"))


def test_every_face_of_a_batch_counts_alike_whichever_process_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.tensor([1.0])
    of_the_other = 3.0
    monkeypatch.setattr("torch.distributed.all_reduce", lambda sent: sent.add_(2 / 5 * of_the_other))

    Ranks().average([parameter], share=3 / 5)

    assert parameter.grad.item() == pytest.approx((3 * 1.0 + 2 * of_the_other) / 5)


def test_one_process_is_the_first_and_averages_nothing() -> None:
    with Ranks() as ranks:
        parameter = torch.nn.Parameter(torch.zeros(2))
        parameter.grad = torch.ones(2)
        ranks.average([parameter], share=1.0)

        assert ranks.is_first
        assert parameter.grad.tolist() == [1.0, 1.0]
        assert ranks.from_first([3.0], torch.device("cpu")) == [3.0]


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
