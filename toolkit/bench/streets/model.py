"""The model as its users run it by hand: timm, torch's defaults, one call for the frames at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import timm
import torch

SEED = 0


def by_hand(name: str, size_px: int) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """A function from frames (H, W, 3) uint8 BGR to logits (N, classes), warmed up."""
    torch.manual_seed(SEED)
    model = timm.create_model(name, pretrained=False).eval()
    settings = timm.data.resolve_data_config(model=model)
    mean, std = (torch.tensor(settings[name]).view(1, 3, 1, 1) for name in ("mean", "std"))

    @torch.inference_mode()
    def predict(frames: Sequence[np.ndarray]) -> np.ndarray:
        small = [cv2.cvtColor(cv2.resize(f, (size_px, size_px)), cv2.COLOR_BGR2RGB) for f in frames]
        batch = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 255
        return model((batch - mean) / std).numpy()

    predict([np.zeros((size_px, size_px, 3), np.uint8)])
    return predict
