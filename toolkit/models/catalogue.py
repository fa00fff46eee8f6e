"""Model files made by others: where each lies, or is fetched from, under what licence."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from toolkit.errors import ModelError, did_you_mean

_logger = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT_S = 10.0
"""For connecting and for each read: a live run that waits longer than this looks broken."""


@dataclass(frozen=True)
class ModelFile:
    """One file of the catalogue.

    Attributes:
        file: its name on disk.
        sha256: digest; a file with another one is refused.
        size_bytes: length.
        licence: SPDX name.
        page: where people read about it.
        url: where it is fetched from.
    """

    file: str
    sha256: str
    size_bytes: int
    licence: str
    page: str
    url: str


CATALOGUE: dict[str, ModelFile] = {
    # YuNet face detector: Wu, Peng, Yu, "YuNet: a tiny millisecond-level face detector", 2023.
    "yunet": ModelFile(
        file="face_detection_yunet_2026may.onnx",
        sha256="ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
        size_bytes=229_738,
        licence="MIT",
        page="https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet",
        url=(
            "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/"
            "models/face_detection_yunet/face_detection_yunet_2026may.onnx"
        ),
    ),
    # YOLOX-nano, of which the class "person" is used: Ge et al., "YOLOX: Exceeding YOLO series in 2021".
    "yolox": ModelFile(
        file="yolox_nano.onnx",
        sha256="e8af074932d4ed7e232278e3055cefcdea3edf178874a3694ae292649fb464dd",
        size_bytes=3_678_356,
        licence="Apache-2.0",
        page="https://github.com/Megvii-BaseDetection/YOLOX",
        url=("https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx"),
    ),
}


def find_model(name: str) -> Path:
    """The file of a catalogued model, its checksum verified.

    Looks in ``TOOLKIT_DATA``/models, then in the user's cache, then downloads it into that cache, unless
    ``TOOLKIT_OFFLINE`` is 1.

    Raises:
        ModelError: the name is unknown, or no place gave the right file; the text says what was tried.
    """
    if name not in CATALOGUE:
        raise ModelError(f"no model {name!r} in the catalogue; {did_you_mean(name, CATALOGUE)}")
    wanted = CATALOGUE[name]
    tried = []
    for place in _places(wanted):
        if not place.is_file():
            tried.append(f"{place}: not there")
        elif _sha256(place.read_bytes()) != wanted.sha256:
            tried.append(f"{place}: refused, its checksum is not {wanted.sha256[:12]}...")
        else:
            return place
    if os.environ.get("TOOLKIT_OFFLINE") == "1":
        tried.append("no download, because TOOLKIT_OFFLINE is 1")
    else:
        try:
            return _download(wanted, _cache_folder() / wanted.file)
        except (OSError, ValueError) as error:
            tried.append(f"{wanted.url}: {error}")
    raise ModelError(
        f"no usable file for model {name!r}; tried " + "; ".join(tried) + f". Get it from {wanted.page} "
        f"and put it into {_cache_folder()}"
    )


def at_hand(name: str) -> bool:
    """Whether :func:`find_model` has something to give without fetching it."""
    return any(place.is_file() for place in _places(CATALOGUE[name]))


def _places(wanted: ModelFile) -> list[Path]:
    root = os.environ.get("TOOLKIT_DATA")
    return [*([Path(root, "models", wanted.file)] if root else []), _cache_folder() / wanted.file]


def _cache_folder() -> Path:
    return Path(platformdirs.user_cache_dir("toolkit", appauthor=False), "models")


def _download(wanted: ModelFile, target: Path) -> Path:
    """Fetch, verify, then rename: nobody ever sees half a file under the final name."""
    with urllib.request.urlopen(wanted.url, timeout=DOWNLOAD_TIMEOUT_S) as response:
        # One byte more than expected is enough to notice a wrong file without reading all of it.
        content = response.read(wanted.size_bytes + 1)
    if _sha256(content) != wanted.sha256:
        raise ValueError(f"refused, the checksum of what came is not {wanted.sha256[:12]}...")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.", delete=False) as part:
        part.write(content)
    Path(part.name).replace(target)
    _logger.info("fetched %s (%s) into %s", wanted.file, wanted.licence, target)
    return target


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
