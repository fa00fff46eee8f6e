"""Networks that take pictures as bytes; ours has two heads: apparent gender, and age over years."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
from torch import nn

from toolkit.errors import ModelError, did_you_mean

AGE_BINS = 101
"""One bin per year, 0..100."""

_RGB_MEAN = (0.485, 0.456, 0.406)
_RGB_STD = (0.229, 0.224, 0.225)

Rgb = Sequence[float]


class FaceOutputs(NamedTuple):
    """What the network says of a batch, before any softmax.

    Attributes:
        gender_logits: (N,); positive means female.
        age_logits: (N, 101); one per year of age.
    """

    gender_logits: torch.Tensor
    age_logits: torch.Tensor


class PictureNetwork(nn.Module):
    """A network that takes uint8 pictures as OpenCV makes them.

    Colour order, layout and normalisation are its own business, so no caller can get them wrong.

    Args:
        mean_rgb: what its pictures are centred on, 0..1.
        std_rgb: what they are divided by, 0..1.
    """

    takes_any_size = False
    """Whether one set of weights serves pictures of any height and width."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean_rgb: Rgb = _RGB_MEAN, std_rgb: Rgb = _RGB_STD) -> None:
        super().__init__()
        # Not saved: constants of the code, not of a training.
        self.register_buffer("mean", torch.tensor(mean_rgb).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std_rgb).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, images_nhwc: torch.Tensor) -> Any:
        """The answer to a batch.

        Args:
            images_nhwc: (N, S, S, 3), uint8, BGR.
        """
        # The permuted view of NHWC memory is already what torch calls channels-last.
        images_nchw = images_nhwc.flip(-1).permute(0, 3, 1, 2)
        return self.of_rgb((images_nchw - self.mean) / self.std)

    def of_rgb(self, images_nchw: torch.Tensor) -> Any:
        """The answer to (N, 3, S, S) float pictures, RGB, centred and scaled."""
        raise NotImplementedError


class Classifier(PictureNetwork):
    """A timm classifier with random weights, as benches need it; gives its logits (N, classes).

    Args:
        name: of a timm model, such as ``mobilenetv3_small_100``.

    Raises:
        ModelError: timm has no such model.
    """

    def __init__(self, name: str) -> None:
        _check_timm_has(name)
        body = timm.create_model(name, pretrained=False)
        settings = timm.data.resolve_model_data_config(body)
        super().__init__(settings["mean"], settings["std"])
        self.body = body

    def of_rgb(self, images_nchw: torch.Tensor) -> torch.Tensor:
        return self.body(images_nchw)


class FaceNetwork(PictureNetwork):
    """A timm backbone with a gender head and an age head.

    Args:
        backbone: name of a timm model, such as ``mobilenetv4_conv_small``.
        drop_rate: dropout before the heads, while training.

    Raises:
        ModelError: timm has no such model.

    Source: age as a distribution read out by its expectation: Rothe, Timofte, Van Gool, "Deep expectation of
        real and apparent age from a single image without facial landmarks", IJCV 2018, section 3.
    """

    def __init__(self, backbone: str, drop_rate: float = 0.0) -> None:
        _check_timm_has(backbone)
        super().__init__()
        self.backbone = timm.create_model(backbone, pretrained=False, num_classes=0)
        # Some backbones widen once more before their head; num_features is the width before that.
        features = int(getattr(self.backbone, "head_hidden_size", None) or self.backbone.num_features)  # type: ignore[arg-type]
        self.dropout = nn.Dropout(drop_rate)
        self.gender_head = nn.Linear(features, 1)
        self.age_head = nn.Linear(features, AGE_BINS)

    def of_rgb(self, images_nchw: torch.Tensor) -> FaceOutputs:
        features = self.dropout(self.backbone(images_nchw))
        return FaceOutputs(self.gender_head(features).squeeze(1), self.age_head(features))


def _check_timm_has(name: str) -> None:
    if not timm.is_model(name):
        raise ModelError(f"timm has no model {name!r}; {did_you_mean(name, timm.list_models())}")


def read_age(age_distribution: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expectation and standard deviation, in years, of (N, 101) distributions over age; two (N,) arrays."""
    years = np.arange(AGE_BINS, dtype=age_distribution.dtype)
    mean = age_distribution @ years
    variance = age_distribution @ np.square(years) - np.square(mean)
    return mean, np.sqrt(np.maximum(variance, 0))
