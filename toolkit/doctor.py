"""What this machine has of all the toolkit can use, and how to get the rest."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sqlite3
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from typing import Literal

import psutil

from toolkit.addresses import without_password
from toolkit.cores import usable_cores
from toolkit.errors import QueueUnavailable
from toolkit.machine import machine
from toolkit.mlflow_store import DEFAULT_STORE, local_file, store_uri
from toolkit.resources import gpus
from toolkit.words import counted

_LEAST_FREE_GB = 2.0
"""A live run leaves megabytes, a sweep or a store of long runs gigabytes."""

_ANSWER_TIMEOUT_S = 3.0
_CODECS = ("h264", "hevc", "mjpeg", "vp9", "av1", "mpeg4")
_RUNTIMES = ("torch", "onnxruntime", "openvino")
_EXTRAS = {
    "int8": ("nncf", "export to OpenVINO in int8"),
    "ray": ("ray", "workers on a Ray cluster"),
    "gpu": ("pynvml", "how busy an NVIDIA GPU is"),
    "docs": ("mkdocs", "the pages of the documentation"),
    "peers": ("rq", "the other libraries of toolkit bench"),
}
_WIDGETS = "share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager"

State = Literal["ok", "optional", "missing"]


@dataclass(frozen=True)
class Finding:
    """One row of what a machine has.

    Attributes:
        what: the part.
        state: ``ok``; ``optional``, not there and not needed; ``missing``, without which something fails.
        found: what there is, in words.
        cure: how to get it; empty where nothing is to be done.
    """

    what: str
    state: State
    found: str
    cure: str = ""


def examine() -> list[Finding]:
    """Look at everything; nothing is loaded, downloaded, started or changed, and it takes a second or two."""
    return [*_machine(), *_video(), *_redis(), *_models(), *_data(), *_store(), *_notebooks(), *_extras()]


def _machine() -> Iterator[Finding]:
    told, memory = machine(), psutil.virtual_memory()
    yield Finding("machine", "ok", f"{told['machine.cpu']}, {told['machine.system']}, Python {_python()}")
    yield Finding("cores", "ok", f"{usable_cores()} of {os.cpu_count()} may be used")
    yield Finding("memory", "ok", f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free")
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    full = free_gb < _LEAST_FREE_GB
    cure = "make room: runs, checkpoints and the MLflow store are written here" if full else ""
    yield Finding("disk", "missing" if full else "ok", f"{free_gb:.1f} GB free in {Path.cwd()}", cure)
    found = ", ".join(gpu["name"] for gpu in gpus())
    yield Finding(
        "GPU", "ok" if found else "optional", found or "none that can be asked", "" if found else _gpu_cure()
    )


def _gpu_cure() -> str:
    if not Path("/proc/driver/nvidia").exists():
        return "all of it runs on a CPU too"
    return "the driver is there: pip install 'toolkit[gpu]' measures the GPU"


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def _video() -> Iterator[Finding]:
    import av
    import av.codec

    known = [name for name in _CODECS if name in av.codec.codecs_available]
    lost = sorted({"h264", "mjpeg"} - set(known))
    yield Finding(
        "FFmpeg (PyAV)",
        "missing" if lost else "ok",
        f"PyAV {_version('av')}, decodes {', '.join(known)}",
        f"cannot decode {', '.join(lost)}: pip install --force-reinstall --only-binary=:all: av"
        if lost
        else "",
    )
    cv = _version("opencv-python-headless") or _version("opencv-python")
    yield Finding(
        "OpenCV", "ok" if cv else "missing", cv or "none", "" if cv else "pip install opencv-python-headless"
    )


def _redis() -> Iterator[Finding]:
    from toolkit.work.redis_server import find_redis_server

    url = os.environ.get("REDIS_URL")
    if url:
        import redis

        shown = without_password(url)
        try:
            client = redis.Redis.from_url(
                url, socket_timeout=_ANSWER_TIMEOUT_S, socket_connect_timeout=_ANSWER_TIMEOUT_S
            )
            with closing(client):
                version = client.info("server")["redis_version"]
            yield Finding("Redis", "ok", f"{version} at {shown}")
        except (redis.RedisError, ValueError) as error:
            why = without_password(str(error))
            yield Finding("Redis", "missing", f"{shown}: {why}", "start it, or unset REDIS_URL")
        return
    try:
        yield Finding("Redis", "ok", f"{find_redis_server()}, started when a queue needs it")
    except QueueUnavailable as error:
        yield Finding("Redis", "missing", "no server", str(error))


def _models() -> Iterator[Finding]:
    from toolkit.models.catalogue import CATALOGUE, at_hand

    folder = files("toolkit.models") / "weights"
    weights = sorted(path.name for path in folder.iterdir() if path.name.endswith(".safetensors"))
    yield Finding(
        "shipped weights",
        "ok" if weights else "missing",
        ", ".join(name.removesuffix(".safetensors") for name in weights) or "none in the package",
        "" if weights else "install the package anew: it carries them",
    )
    for name, model in CATALOGUE.items():
        if at_hand(name):
            yield Finding(f"model {name}", "ok", f"{model.file} ({model.licence})")
        else:
            yield Finding(
                f"model {name}", "optional", "not fetched yet", f"fetched on first use, or from {model.page}"
            )
    for name in _RUNTIMES:
        found = _version(name)
        state: State = "ok" if found else "missing" if name == "torch" else "optional"
        yield Finding(f"runtime {name}", state, found or "none", "" if found else f"pip install {name}")


def _data() -> Iterator[Finding]:
    folder = os.environ.get("TOOLKIT_DATA")
    how = "set it to a folder of face packs and videos; datasets/*/README.md say where from"
    if not folder:
        yield Finding("TOOLKIT_DATA", "optional", "not set: drawn faces and made clips serve", how)
    elif not Path(folder).is_dir():
        yield Finding("TOOLKIT_DATA", "missing", f"{folder} is no folder", how)
    else:
        packs = sum(1 for _ in Path(folder).rglob("*.parquet"))
        videos = sum(1 for path in Path(folder, "videos").glob("*") if path.is_file())
        yield Finding("TOOLKIT_DATA", "ok", f"{folder}: {packs} packs, {videos} videos")


def _store() -> Iterator[Finding]:
    uri = store_uri()
    path, shown = local_file(uri), without_password(uri)
    if path is not None and not path.exists():
        yield Finding("MLflow store", "ok", f"{path} is made by the first run")
    elif path is None and not uri.startswith(("http://", "https://")):
        # A database, or a service with a login: MLflow asks it, which takes seconds to load.
        yield Finding("MLflow store", "optional", f"{shown}: not asked here", "toolkit runs list asks it")
    else:
        try:
            found = _runs_in(path) if path is not None else _answer_of(uri)
            yield Finding("MLflow store", "ok", f"{path or shown}: {found}")
        except (OSError, ValueError, HTTPException, sqlite3.Error) as error:
            cure = "toolkit runs list says more; MLFLOW_TRACKING_URI names another store"
            yield Finding("MLflow store", "missing", f"{path or shown}: {without_password(str(error))}", cure)
    unsent = len(list(DEFAULT_STORE.glob("unsent-*.jsonl")))
    if unsent:
        yield Finding(
            "unsent data", "optional", f"of {counted(unsent, 'run')} in {DEFAULT_STORE}", "toolkit runs send"
        )


def _runs_in(path: Path) -> str:
    # Without MLflow, which takes seconds to load.
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)) as store:
        (count,) = store.execute("select count(*) from runs where lifecycle_stage = 'active'").fetchone()
    return counted(count, "run")


def _answer_of(uri: str) -> str:
    with urllib.request.urlopen(f"{uri.rstrip('/')}/version", timeout=_ANSWER_TIMEOUT_S) as answer:
        return f"MLflow {answer.read(20).decode()}"


def _notebooks() -> Iterator[Finding]:
    versions = {name: _version(name) for name in ("jupyterlab", "ipywidgets", "nbconvert")}
    lost = [name for name, version in versions.items() if version is None]
    told = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    yield Finding(
        "JupyterLab",
        "optional" if lost else "ok",
        told or "none",
        "pip install 'toolkit[notebooks]'" if lost else "",
    )
    if not lost:
        is_there = Path(sys.prefix, _WIDGETS).is_dir()
        yield Finding(
            "browser widgets",
            "ok" if is_there else "missing",
            "JupyterLab's widget manager is installed" if is_there else "JupyterLab would show no dashboard",
            "" if is_there else "pip install --force-reinstall jupyterlab_widgets, and reload the page",
        )


def _extras() -> Iterator[Finding]:
    for extra, (module, what) in _EXTRAS.items():
        found = importlib.util.find_spec(module) is not None
        cure = "" if found else f"pip install 'toolkit[{extra}]'"
        yield Finding(f"extra {extra}", "ok" if found else "optional", what, cure)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
