"""Pictures of a face table decoded once: uint8 in a memory-mapped file that every later run reads."""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import platformdirs

from toolkit.cores import usable_cores
from toolkit.data.faces import FaceTable
from toolkit.errors import DataError

_logger = logging.getLogger(__name__)

_FORMAT = "1"
"""Raised when the same table would be decoded into other bytes."""

_LOOKED_AT = 100


def decoded_pictures(faces: FaceTable, most_px: int, folder: Path | None = None) -> np.ndarray:
    """All pictures of a table, decoded and brought to one size; the work of the first call is kept on disk.

    Decoding takes 0.11 ms per picture of 112 px, as much again as varying one for training takes; and
    processes that train together share the pages of one file.

    Args:
        faces: the pictures.
        most_px: side of the squares, unless the pictures are smaller (a hundred of them are looked at); then
            the longest side among those. A picture that is not square lies in the middle, its edge repeated.
        folder: where the file lies; None is ``faces`` in the user's cache. It takes three bytes per pixel,
            1 GB for 26,659 pictures of 112 px, and may be deleted when nothing is training.

    Returns:
        (N, S, S, 3), uint8, BGR, read-only, mapped from the file.

    Raises:
        DataError: a picture cannot be decoded; the text names its row. Or the disk has no room for them.
    """
    looked_at = np.linspace(0, len(faces) - 1, min(len(faces), _LOOKED_AT)).astype(int).tolist()
    side_px = min(most_px, max(max(faces.picture(index).shape[:2]) for index in looked_at))
    folder = folder or Path(platformdirs.user_cache_dir("toolkit", appauthor=False), "faces")
    path = folder / f"{faces.name}-{side_px}-{_key(faces)}.npy"
    if not path.is_file():
        _logger.info("decoding %d pictures into %s", len(faces), path)
        _write(faces, side_px, path)
    return np.load(path, mmap_mode="r")


def square(image: np.ndarray, side_px: int) -> np.ndarray:
    """A picture in the middle of a square of that side, its edge repeated where it does not reach."""
    height, width = image.shape[:2]
    scale = side_px / max(height, width)
    fit_wh = max(1, round(width * scale)), max(1, round(height * scale))
    fitted = cv2.resize(image, fit_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (side_px - fit_wh[0]) // 2, (side_px - fit_wh[1]) // 2
    right, bottom = side_px - fit_wh[0] - left, side_px - fit_wh[1] - top
    return cv2.copyMakeBorder(fitted, top, bottom, left, right, cv2.BORDER_REPLICATE)


def _key(faces: FaceTable) -> str:
    """Names the very rows: a split, or the first hundred, of one file are other pictures than the file."""
    digest = hashlib.sha256(f"{_FORMAT} {faces.sha256}".encode())
    digest.update(faces.rows.index.to_numpy(np.int64).tobytes())
    return digest.hexdigest()[:16]


def _write(faces: FaceTable, side_px: int, path: Path) -> None:
    """Fill a file under another name, then rename: nobody ever maps half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        shape = (len(faces), side_px, side_px, 3)
        try:
            pictures = np.lib.format.open_memmap(name, mode="w+", dtype=np.uint8, shape=shape)
            _take_room(handle)
        except OSError as error:
            raise DataError(
                f"decoded pictures take {math.prod(shape) / 1e6:,.0f} MB in {path.parent}: {error.strerror}; "
                "make room, or set XDG_CACHE_HOME to a folder that has some"
            ) from error
        with ThreadPoolExecutor(min(4, usable_cores()), thread_name_prefix="face-decode") as pool:
            for index, picture in enumerate(pool.map(partial(_decode, faces, side_px), range(len(faces)))):
                pictures[index] = picture
        pictures.flush()
        Path(name).replace(path)
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)


def _take_room(handle: int) -> None:
    """Have the disk set all of a file aside."""
    # A mapped file is written sparse: a full disk would end the process with SIGBUS at some later picture.
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(handle, 0, os.fstat(handle).st_size)
        except OSError as error:
            # A file system that sets nothing aside may have room all the same.
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise


def _decode(faces: FaceTable, side_px: int, index: int) -> np.ndarray:
    return square(faces.picture(index), side_px)
