"""Cameras for a first look, on any machine."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from platformdirs import user_cache_dir

from toolkit.data.scenes.address import scene_cameras
from toolkit.data.scenes.portrait import render_portrait

logger = logging.getLogger(__name__)

_DEMO_VIDEOS = {
    "arcade": "arcade-faces-1080p.mp4",
    "street": "street-walking-720p.mp4",
    "demographics": "demographics-pause-270p.gif",
    "head-pose": "head-pose-pair-270p.gif",
}

_SCENE = "scene:hall?cameras=2&seconds=12&frames_per_s=12&width=960&height=540&face_px=60-130"


def demo_cameras() -> dict[str, str]:
    """Cameras for a first look, by name: the real videos of ``TOOLKIT_DATA`` where it is set.

    Elsewhere a real face, the portrait that comes with matplotlib, and a scene of drawn people on two
    cameras; what a model says of drawn people means nothing.
    """
    data = os.environ.get("TOOLKIT_DATA")
    if data:
        videos = {name: Path(data) / "videos" / file for name, file in _DEMO_VIDEOS.items()}
        if all(path.is_file() for path in videos.values()):
            return {name: str(path) for name, path in videos.items()}
        logger.warning("the demo's videos are not all in %s; it plays clips made here", data)
    portrait = render_portrait(Path(user_cache_dir("toolkit")) / "clips")
    return {"portrait": str(portrait), **scene_cameras(_SCENE)}
