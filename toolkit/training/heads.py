"""What the heads of a trained network can still be told: how sure to be, and how common ages are."""

from __future__ import annotations

import numpy as np
import torch

from toolkit.models.network import FaceNetwork


@torch.no_grad()
def set_temperatures(network: FaceNetwork, gender: float, age: float) -> None:
    """Divide a network's logits by temperatures, within its heads; above 1, it is less sure.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.
    """
    for head, temperature in ((network.gender_head, gender), (network.age_head, age)):
        head.weight.div_(temperature)
        head.bias.div_(temperature)


@torch.no_grad()
def set_age_prior(network: FaceNetwork, ratios: np.ndarray) -> None:
    """Let a network expect ages as often as they are, where its training set had others.

    Args:
        network: learned from a set in which ages have frequencies of its own.
        ratios: (101,), for each year how much more frequent it is than it was there.

    Source: Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori
        probabilities", Neural Computation 2002, equation 2.4.
    """
    network.age_head.bias.add_(torch.from_numpy(np.log(ratios)).to(network.age_head.bias))
