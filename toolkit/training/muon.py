"""Muon: steps of matrices made orthogonal, in single precision and side by side, as suits a CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch

MOMENTUM = 0.95
BETAS = (0.9, 0.99)
EPSILON = 1e-8

SMALLEST_SIDE = 16
"""Narrower matrices (the gender head, depthwise filters) have little to make orthogonal: AdamW takes them."""

_ITERATIONS = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
"""Coefficients of the five quintic iterations; from Jordan's modded-nanogpt, as in timm's ``quintic``."""


Spread = Callable[..., Iterable[Any]]
"""How a function is applied to columns of values: ``map``, or that of a pool of threads."""


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal for every matrix and convolution; AdamW for the rest.

    timm has Muon too, always in bfloat16, which on a CPU without units for it took twice as long as single
    precision; and here each matrix is a task of its own for the threads that work out the gradients.

    Args:
        groups: parameter groups, each with its ``weight_decay``.
        lr: learning rate; steps are scaled so that one suited to AdamW suits both kinds.
        weight_decay: for groups that name none.
        spread: how the matrices are spread over threads.
        bf16: whether their products are worked out in bfloat16.

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; the step's scale
        from Liu et al., "Muon is scalable for LLM training", 2025, section 2.2.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        weight_decay: float,
        spread: Spread = map,
        bf16: bool = False,
    ) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})
        self._spread = spread
        self._bf16 = bf16

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step by the gradients in ``.grad``."""
        tasks = [
            (parameter, parameter.grad, group["lr"], group["weight_decay"])
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        # The largest first: the threads end at about the same time.
        tasks.sort(key=lambda task: -task[0].numel())
        # To a list: a pool's map keeps its errors until somebody looks.
        list(self._spread(self._step_one, *zip(*tasks, strict=True)))

    @torch.no_grad()
    def _step_one(
        self, parameter: torch.Tensor, gradient: torch.Tensor, rate: float, weight_decay: float
    ) -> None:
        parameter.mul_(1 - rate * weight_decay)
        if min(_as_matrix(parameter).shape) >= SMALLEST_SIDE:
            self._orthogonal(parameter, gradient, rate)
        else:
            self._adam(parameter, gradient, rate)

    def _orthogonal(self, parameter: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        # Nesterov: look ahead along the momentum.
        step = _as_matrix(torch.lerp(gradient, state["momentum"], MOMENTUM))
        # An orthogonal matrix has entries of this root mean square; 0.2 is what AdamW's steps have.
        scale = 0.2 * math.sqrt(max(step.shape))
        parameter.add_(orthogonalised(step, self._bf16).view(parameter.shape), alpha=-rate * scale)

    def _adam(self, parameter: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        state = self.state[parameter]
        if not state:
            state |= {"count": 0, "mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
        state["count"] += 1
        state["mean"].lerp_(gradient, 1 - BETAS[0])
        state["square"].lerp_(gradient.square(), 1 - BETAS[1])
        mean = state["mean"] / (1 - BETAS[0] ** state["count"])
        square = state["square"] / (1 - BETAS[1] ** state["count"])
        parameter.addcdiv_(mean, square.sqrt_().add_(EPSILON), value=-rate)


def orthogonalised(matrix: torch.Tensor, bf16: bool = False) -> torch.Tensor:
    """The nearest matrix with orthogonal rows or columns, roughly: singular values of about 0.7 to 1.2.

    Args:
        matrix: (M, N), float.
        bf16: multiply in bfloat16, which is enough, and twice as fast where there are units for it.

    Source: the Newton-Schulz iteration of Jordan et al., 2024.
    """
    x = matrix.bfloat16() if bf16 else matrix
    x = x.mT if matrix.shape[0] > matrix.shape[1] else x
    x = x / x.norm().clamp(min=1e-7)
    for a, b, c in _ITERATIONS:
        square = x @ x.mT
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if matrix.shape[0] > matrix.shape[1] else x).to(matrix.dtype)


def _as_matrix(parameter: torch.Tensor) -> torch.Tensor:
    """A convolution as the matrix from its inputs to its outputs; a vector as one column."""
    return parameter.reshape(len(parameter), -1)
