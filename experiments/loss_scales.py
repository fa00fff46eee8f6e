"""How hard each head pulls at the features they share, before training and after: what age_weight stands on.

    python experiments/loss_scales.py --packs fairface_train_112 utkface_128

Of each loss the gradient's norm at the features, over 256 faces of the split val, and the age_weight at which
both heads would pull alike: for a network by chance, and for the shipped one.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from toolkit.data.faces import FaceTable, load_faces
from toolkit.models.checkpoint import Checkpoint
from toolkit.models.network import FaceNetwork, FaceOutputs
from toolkit.models.preprocess import make_batch
from toolkit.training.losses import AGE_LOSSES, face_losses

BATCH_FACES = 64
BATCHES = 4


def pulls(network: FaceNetwork, faces: FaceTable, image_px: int, age_loss: str) -> tuple[float, float]:
    """Mean norms of the gradients of gender and age at the features."""
    norms = []
    for begin in range(0, BATCHES * BATCH_FACES, BATCH_FACES):
        rows = slice(begin, begin + BATCH_FACES)
        pictures = make_batch([faces.picture(row) for row in range(rows.start, rows.stop)], image_px)
        features = features_of(network, pictures)
        logits = FaceOutputs(network.gender_head(features).squeeze(1), network.age_head(features))
        labels = (torch.tensor(array[rows]) for array in (faces.genders, faces.ages_lo, faces.ages_hi))
        losses = face_losses(logits, *labels, age_loss)
        norms.append([torch.autograd.grad(loss, features, retain_graph=True)[0].norm() for loss in losses])
    gender, age = np.mean(norms, axis=0)
    return float(gender), float(age)


@torch.no_grad()
def features_of(network: FaceNetwork, images_nhwc: np.ndarray) -> torch.Tensor:
    """What the backbone hands to both heads, (N, features)."""
    images_nchw = torch.tensor(images_nhwc).flip(-1).permute(0, 3, 1, 2)
    return network.backbone((images_nchw - network.mean) / network.std).requires_grad_()


def main() -> None:
    """Print one line for each network, pack and age loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packs", nargs="+", default=["fairface_train_112"])
    packs = parser.parse_args().packs
    torch.manual_seed(0)
    trained = Checkpoint.load()
    networks = {"chance": FaceNetwork(trained.card.backbone).train(), "shipped": trained.network}
    for name, network in networks.items():
        for pack in packs:
            faces = load_faces(pack, "val")
            for age_loss in AGE_LOSSES:
                gender, age = pulls(network, faces, trained.card.image_px, age_loss)
                print(
                    f"{name} {pack} {age_loss}: gender {gender:.4f}, age {age:.4f}, "
                    f"alike at age_weight {gender / age:.2f}"
                )


if __name__ == "__main__":
    main()
