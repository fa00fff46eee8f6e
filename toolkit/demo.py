"""Cameras for a first look, on any machine."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from platformdirs import user_cache_dir

from toolkit.data.scenes.demo_clips import render_demo_clips

logger = logging.getLogger(__name__)

_DEMO_VIDEOS = {
    "arcade": "arcade-faces-1080p.mp4",
    "street": "street-walking-720p.mp4",
    "demographics": "demographics-pause-270p.gif",
    "head-pose": "head-pose-pair-270p.gif",
}


def demo_cameras() -> dict[str, str]:
    """Cameras for a first look: the real videos of ``TOOLKIT_DATA`` where it is set, else clips made here."""
    data = os.environ.get("TOOLKIT_DATA")
    if data:
        videos = {name: Path(data) / "videos" / file for name, file in _DEMO_VIDEOS.items()}
        if all(path.is_file() for path in videos.values()):
            return {name: str(path) for name, path in videos.items()}
        logger.warning("the demo's videos are not all in %s; it plays clips made here", data)
    clips = render_demo_clips(Path(user_cache_dir("toolkit")) / "clips")
    return {name: str(path) for name, path in clips.items()}
