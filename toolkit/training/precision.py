"""In how many bits a network learns: 16 where that is faster."""

from __future__ import annotations

import torch
from torch import nn

from toolkit.errors import ConfigError
from toolkit.training.config import TrainConfig

_SMALLEST_PX_ON_CPU = 64
"""In smaller pictures a convolution can come to see a single pixel. Torch 2.15 then leaves the gradient
of the weights that touch nothing but padding as it was in memory, in bfloat16 on a CPU with units for it."""


def learns_in_bf16(network: nn.Module, config: TrainConfig) -> bool:
    """Whether products are worked out in bfloat16; weights, sums and losses stay in single precision.

    Left to itself an Nvidia GPU does so, and a CPU that has units for it, unless the network has depthwise
    convolutions: those are not worked out by these units, and took twice as long as in single precision.

    Args:
        network: where it learns.
        config: names the precision, or leaves it to the machine.

    Raises:
        ConfigError: the pictures are too small for what was asked for.
    """
    device_type = next(network.parameters()).device.type
    smallest_px = min(config.start_px or config.image_px, config.image_px)
    is_too_small = device_type == "cpu" and smallest_px < _SMALLEST_PX_ON_CPU
    if config.precision == "bf16" and is_too_small:
        raise ConfigError(
            f"on a CPU, precision bf16 takes pictures from {_SMALLEST_PX_ON_CPU} px on, got {smallest_px}; "
            "set precision to auto, or image_px and start_px higher"
        )
    if config.precision != "auto":
        return config.precision == "bf16"
    if device_type == "cpu":
        return _cpu_has_units() and not is_too_small and not _has_depthwise(network)
    return device_type == "cuda"


def _cpu_has_units() -> bool:
    # Torch asks the processor, but under names that are not public: one that is gone says no.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)


def _has_depthwise(network: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in network.modules())
