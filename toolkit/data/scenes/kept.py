"""Scenes that were composed stay: played again, they cost nothing, and never while somebody measures."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import threading
import time
from pathlib import Path

import platformdirs

from toolkit.data.faces import find_faces
from toolkit.data.scenes.config import SceneConfig
from toolkit.data.scenes.film import TRUTH_FILE, Progress, SceneFiles
from toolkit.data.scenes.scene import Scene

# Part of every folder's name: raise it when scenes of the same settings come out another way.
_VERSION = 3

# Scenes that were not used for longest go first; a minute of 720p takes some 20 MB.
_MOST_KEPT_BYTES = 4_000_000_000

_LEFT_OVER_AFTER_S = 24 * 3600.0

# How pictures arrive does not change them.
_SAME_PICTURES = {"jitter_s", "gap_s", "gap_every_s", "through"}


def kept_scene(
    config: SceneConfig, on_progress: Progress = lambda done, total: None, root: Path | None = None
) -> SceneFiles:
    """The files of a scene, written now or by an earlier call with the same settings.

    Args:
        config: of the scene.
        on_progress: see :data:`Progress`.
        root: where scenes are kept; None takes the user's cache, which may be emptied at any time.

    Raises:
        DataError: the pack of faces, or a background, cannot be read.
        ConfigError: the pack has too few faces; the pictures would take more than 4 GB.
    """
    root = root or Path(platformdirs.user_cache_dir("toolkit", appauthor=False), "scenes")
    folder = root / _digest(config)
    files = SceneFiles(folder, config)
    with _writing:
        if not _is_whole(files):
            # Where somebody has emptied it in part.
            shutil.rmtree(folder, ignore_errors=True)
            part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
            try:
                Scene(config).write(part, on_progress)
                _put_in_place(part, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            _forget_the_oldest(root, folder)
    os.utime(folder)
    return files


# Cameras of one scene open at the same moment: one of them writes, the others wait for it.
_writing = threading.Lock()


def _is_whole(files: SceneFiles) -> bool:
    films = [files.film(camera) for camera in range(1, files.config.cameras + 1)]
    return all(path.is_file() for path in (*films, files.folder / TRUTH_FILE))


def _digest(config: SceneConfig) -> str:
    """Names the very pictures: the settings, and what the files they name hold."""
    values = {n: str(v) for n, v in dataclasses.asdict(config).items() if n not in _SAME_PICTURES}
    digest = hashlib.sha256(f"{_VERSION} {json.dumps(values, sort_keys=True)}".encode())
    outside = [] if config.faces is None else [find_faces(config.faces)]
    if config.backgrounds is not None:
        outside += sorted(path for path in config.backgrounds.glob("*") if path.is_file())
    for path in outside:
        # Size and time, because reading a pack to the end takes as long as a short scene.
        stat = path.stat()
        digest.update(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:20]


def _put_in_place(part: Path, folder: Path) -> None:
    """Under its own name a scene is always complete; one that another process has put there stays."""
    try:
        part.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _forget_the_oldest(root: Path, but: Path) -> None:
    """Let scenes go that were not used for longest, and what a run that was killed had begun to write."""
    kept_bytes = 0
    # Another process may be tidying as well.
    with contextlib.suppress(FileNotFoundError):
        # Desktops leave files of their own everywhere, such as .DS_Store.
        found = [path for path in root.iterdir() if path.is_dir()]
        folders = sorted(found, key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in folders:
            kept_bytes += sum(path.stat().st_size for path in folder.iterdir())
            is_part = folder.suffix == ".part"
            is_left_over = is_part and time.time() - folder.stat().st_mtime > _LEFT_OVER_AFTER_S
            is_too_much = not is_part and folder != but and kept_bytes > _MOST_KEPT_BYTES
            if is_left_over or is_too_much:
                shutil.rmtree(folder, ignore_errors=True)
