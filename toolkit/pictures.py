"""Pictures from the bytes of a file."""

from __future__ import annotations

import cv2
import numpy as np


def decoded(content: bytes | np.ndarray) -> np.ndarray | None:
    """The picture in a file's bytes, (H, W, 3), uint8, BGR; None where there is none that OpenCV takes."""
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        # Most bytes it cannot read give None; none at all, and a header that claims 2**30 pixels, do not.
        return None
