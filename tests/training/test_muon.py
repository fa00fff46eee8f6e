"""Muon: orthogonal steps for matrices, AdamW for the rest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from toolkit.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(20, 60), (60, 20), (32, 32)])
def test_an_orthogonalised_matrix_has_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))

    found = orthogonalised(matrix)

    assert found.shape == matrix.shape
    values = torch.linalg.svdvals(found)
    assert 0.6 < values.min() <= values.max() < 1.3


def test_directions_stay_those_of_the_matrix() -> None:
    matrix = torch.randn((20, 60), generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)

    assert torch.allclose(orthogonalised(matrix), left @ right, atol=0.1)


def test_the_first_step_of_a_vector_is_that_of_adam() -> None:
    vector = torch.nn.Parameter(torch.zeros(3))
    vector.grad = torch.tensor([4.0, -0.5, 1e-3])

    Muon([{"params": [vector]}], lr=0.1, weight_decay=0.0).step()

    assert torch.allclose(vector.detach(), torch.tensor([-0.1, 0.1, -0.1]), atol=1e-4)


def test_weights_decay_and_those_told_not_to_do_not() -> None:
    decayed, kept = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    decayed.grad = kept.grad = torch.zeros(2)

    Muon([{"params": [decayed]}, {"params": [kept], "weight_decay": 0.0}], lr=0.1, weight_decay=0.5).step()

    assert decayed.tolist() == pytest.approx([0.95, 0.95])
    assert kept.tolist() == [1.0, 1.0]


def test_threads_take_the_same_steps_as_one() -> None:
    weights = []
    for threads in (0, 3):
        convolution = torch.nn.Conv2d(16, 32, 3).to(memory_format=torch.channels_last)
        torch.nn.init.constant_(convolution.weight, 0.1)
        torch.nn.init.zeros_(convolution.bias)
        for parameter in convolution.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
        with ThreadPoolExecutor(3) as pool:
            spread = pool.map if threads else map
            Muon([{"params": list(convolution.parameters())}], 0.1, 0.0, spread).step()
        weights.append(convolution.weight.detach())

    assert torch.equal(*weights)
    assert not torch.allclose(weights[0], torch.tensor(0.1))
