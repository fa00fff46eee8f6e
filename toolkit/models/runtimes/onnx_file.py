"""A network as an ONNX file: what the runtimes beside torch read."""

from __future__ import annotations

import copy
import hashlib
import logging
import os
import warnings
from pathlib import Path

import platformdirs
import torch
from torch import nn

from toolkit.errors import ModelError
from toolkit.models.network import PictureNetwork
from toolkit.models.runtimes.base import Size, height_width
from toolkit.models.runtimes.folded import fold

_logger = logging.getLogger(__name__)

INPUT = "images_nhwc"
"""The input's name in the file: (N, S, S, 3), uint8, BGR."""

_SMALLEST_PX = 32

KEPT_FILES = 8
"""So many stay in the cache, 10 MB each for a small network; the ones unused for longest go."""


def cache_folder() -> Path:
    """Where what was exported and measured on this machine is kept; it may be deleted at any time."""
    return Path(platformdirs.user_cache_dir("toolkit", appauthor=False), "runtimes")


def network_digest(network: PictureNetwork, size_px: Size) -> str:
    """Tells networks apart: their layers, their weights, and the size of their pictures."""
    digest = hashlib.sha256(f"{network!r} {size_px}".encode())
    for name, tensor in [*network.state_dict().items(), ("mean", network.mean), ("std", network.std)]:
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def export_onnx(network: PictureNetwork, size_px: Size, path: Path) -> Path:
    """Write a network as ONNX: batch dynamic, normalisation folded in, outputs in the network's order.

    One that takes pictures of any size leaves their height and width open as well.

    Raises:
        ModelError: torch cannot export it.
    """
    folded = fold(copy.deepcopy(network).cpu(), size_px)
    return export_as_it_is(folded, size_px, path, network.takes_any_size)


def export_as_it_is(network: nn.Module, size_px: Size, path: Path, takes_any_size: bool) -> Path:
    """Write as ONNX what takes bytes as :func:`export_onnx`'s networks do, with nothing folded.

    Raises:
        ModelError: torch cannot export it.
    """
    # Two pictures: torch takes a size of one for a constant.
    images = torch.zeros((2, *height_width(size_px), 3), dtype=torch.uint8)
    dynamic = {0: torch.export.Dim("n")}
    if takes_any_size:
        dynamic |= {axis: torch.export.Dim(name, min=_SMALLEST_PX) for axis, name in ((1, "h"), (2, "w"))}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                input_names=[INPUT],
                dynamic_shapes=(dynamic,),
                verbose=False,
            )
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"torch cannot export the network as ONNX: {error}") from error
    if program is None:
        raise ModelError("torch exported nothing")
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # the stack of each operation, with the folders of this machine
    _write(path, program.model_proto.SerializeToString())
    return path


def cached_onnx(network: PictureNetwork, size_px: Size) -> Path:
    """The network's ONNX file in the cache; written when it is not there, which takes some seconds."""
    # A network for pictures of any size has one file for all of them.
    size = 0 if network.takes_any_size else size_px
    path = cache_folder() / f"{network_digest(network, size)[:32]}.onnx"
    if not path.exists():
        _logger.info("exporting the network to %s, once", path)
        export_onnx(network, size_px, path)
    path.touch()
    for old in sorted(path.parent.glob("*.onnx"), key=_age_key)[:-KEPT_FILES]:
        old.unlink(missing_ok=True)
    return path


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: another process may be looking."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def _age_key(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # another process tidied up at the same time
