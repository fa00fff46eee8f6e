"""Live multi-camera runs that researchers can trust."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from toolkit.memory import ask_for_large_pages
from toolkit.schemes import register_scheme

if TYPE_CHECKING:
    from toolkit.live.batch import BatchProcessor
    from toolkit.live.batch_async import AsyncBatchProcessor
    from toolkit.live.batch_frames import FrameBatchProcessor
    from toolkit.live.camera_pool import CameraPool, CameraWorker, camera_pool
    from toolkit.live.pipeline import LivePipeline
    from toolkit.live.source import open_source
    from toolkit.models.detector.finder import FaceFinder
    from toolkit.models.predictor import Predictor
    from toolkit.work.task_queue import TaskQueue
    from toolkit.work.worker_pool import WorkerPool

# Loaded when first used: a worker needs no camera, a camera no torch, and `import toolkit` neither.
_HOMES = {
    "AsyncBatchProcessor": "toolkit.live.batch_async",
    "BatchProcessor": "toolkit.live.batch",
    "CameraPool": "toolkit.live.camera_pool",
    "CameraWorker": "toolkit.live.camera_pool",
    "FaceFinder": "toolkit.models.detector.finder",
    "FrameBatchProcessor": "toolkit.live.batch_frames",
    "LivePipeline": "toolkit.live.pipeline",
    "Predictor": "toolkit.models.predictor",
    "TaskQueue": "toolkit.work.task_queue",
    "WorkerPool": "toolkit.work.worker_pool",
    "camera_pool": "toolkit.live.camera_pool",
    "open_source": "toolkit.live.source",
}

__all__ = [
    "AsyncBatchProcessor",
    "BatchProcessor",
    "CameraPool",
    "CameraWorker",
    "FaceFinder",
    "FrameBatchProcessor",
    "LivePipeline",
    "Predictor",
    "TaskQueue",
    "WorkerPool",
    "camera_pool",
    "open_source",
]


def _open_scene(address: str, **settings: Any) -> Any:
    return import_module("toolkit.scene_source").open_scene(address, **settings)


# The live wing has never heard of scenes; here, above all rooms, its addresses learn of them.
register_scheme("scene", _open_scene)

# Before anything here makes a tensor; who has made one before has decided.
ask_for_large_pages()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'toolkit' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
