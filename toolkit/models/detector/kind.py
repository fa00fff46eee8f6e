"""Whether a checkpoint is a detector: read from its card, without torch."""

from __future__ import annotations

import json
from pathlib import Path

KIND = "face-detector"
"""What the card says it is: the weights of a face's attributes have a card without it. In a checkpoint's
place it stands for the detector inside the package."""


def is_detector(checkpoint: str | Path) -> bool:
    """Whether a checkpoint's name or card says that it is a detector; False where there is no card."""
    if str(checkpoint) == KIND:
        return True
    try:
        content = json.loads(Path(checkpoint).with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND
