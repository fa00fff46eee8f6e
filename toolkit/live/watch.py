"""The numbers of a live run under the names by which MLflow and Prometheus know them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.prometheus import Metric, exposition

Statistics = Mapping[str, Any]

_FATES = ("analysed", "skipped", "failed")
_QUANTILES = {"0.5": "p50", "0.95": "p95", "0.99": "p99"}


def live_metrics(statistics: Statistics) -> dict[str, float | None]:
    """Metric names as they stand in MLflow: ``live/<camera>/fps``, ``live/latency_p99_ms``, ..."""
    used = statistics["resources"]
    metrics: dict[str, float | None] = {
        "live/fps": statistics["frames_per_s"],
        "live/persons": statistics["persons"],
        "live/batch_size_mean": statistics["batches"]["mean_batch_size"],
        "live/looks_saved_fraction": statistics["looks"]["saved_fraction"],
        "live/cpu_cores_used": used["cpu_cores_used_mean"],
        "live/memory_mb": used["memory_mb"],
    }
    metrics |= {f"live/latency_{name}_ms": value for name, value in statistics["latency_ms"].items()}
    metrics |= {f"live/stage/{name}_mean_ms": row["mean_ms"] for name, row in statistics["stages"].items()}
    metrics |= {f"live/queue/{name}": depth for name, depth in statistics["queues"].items()}
    metrics |= {f"live/gpu{n}_busy_fraction": gpu["busy_fraction"] for n, gpu in enumerate(used["gpus"])}
    for camera, values in statistics["cameras"].items():
        metrics[f"live/{camera}/fps"] = values["frames_per_s"]
        metrics[f"live/{camera}/latency_p99_ms"] = values["latency_ms"]["p99"]
        for count in ("read", "analysed", "skipped", "failed", "persons"):
            metrics[f"live/{camera}/{count}"] = values[count]
        for place in (values["zones"], values["lines"]):
            for name, counts in place.items():
                metrics |= {f"live/{camera}/{name}/{key}": number for key, number in counts.items()}
    return metrics


def prometheus_text(statistics: Statistics) -> str:
    """The statistics of a live run in the text exposition format, all names beginning with ``toolkit_live_``.

    Args:
        statistics: see :meth:`LiveRun.statistics`; what is not in them is left out.
    """
    return exposition([*_of_cameras(statistics), *_of_places(statistics), *_of_the_street(statistics)])


def _of_cameras(statistics: Statistics) -> Iterator[Metric]:
    cameras = statistics.get("cameras", {})
    fates = [
        ({"camera": name, "fate": fate}, values[fate]) for name, values in cameras.items() for fate in _FATES
    ]
    causes = [
        ({"camera": name, "cause": cause}, count)
        for name, values in cameras.items()
        for cause, count in values.get("causes", {}).items()
    ]
    latencies = [
        ({"camera": name, "quantile": quantile}, values["latency_ms"][key] / 1000)
        for name, values in cameras.items()
        for quantile, key in _QUANTILES.items()
        if values["latency_ms"][key] is not None
    ]
    yield _by_camera(cameras, "read", "frames_read_total", "counter", "Frames that left the source.")
    yield _metric("frames_total", "counter", "Frames by what became of them.", fates)
    yield _metric("frames_lost_total", "counter", "Frames skipped or failed, by cause.", causes)
    yield _by_camera(cameras, "in_flight", "frames_in_flight", "gauge", "Frames on their way.")
    yield _by_camera(cameras, "waiting", "frames_waiting", "gauge", "Frames that wait for the detector.")
    yield _by_camera(
        cameras, "frames_per_s_now", "frames_per_second", "gauge", "Results in the last seconds."
    )
    yield _by_camera(cameras, "persons", "persons_total", "counter", "Persons seen so far.")
    yield _by_camera(cameras, "reconnects", "reconnects_total", "counter", "Times a lost camera came back.")
    yield _metric("latency_seconds", "gauge", "From capture to result, whole run.", latencies)
    states = [({"camera": name, "state": values["state"]}, 1) for name, values in cameras.items()]
    yield _metric("camera_state", "gauge", "1 for the state that each camera is in.", states)


def _of_places(statistics: Statistics) -> Iterator[Metric]:
    cameras = statistics.get("cameras", {})
    inside, through, across = [], [], []
    for camera, values in cameras.items():
        for zone, counts in values.get("zones", {}).items():
            labels = {"camera": camera, "zone": zone}
            inside.append((labels, counts["inside"]))
            through += [(labels | {"direction": way}, counts[way]) for way in ("entered", "left")]
        for line, counts in values.get("lines", {}).items():
            across += [({"camera": camera, "line": line, "direction": way}, n) for way, n in counts.items()]
    yield _metric("zone_persons", "gauge", "Persons inside a zone now.", inside)
    yield _metric("zone_crossings_total", "counter", "Times somebody entered or left a zone.", through)
    yield _metric("line_crossings_total", "counter", "Times somebody crossed a line.", across)


def _of_the_street(statistics: Statistics) -> Iterator[Metric]:
    stages = statistics.get("stages", {})
    spent = [({"stage": stage}, values["total_s"]) for stage, values in stages.items()]
    passed = [({"stage": stage}, values["count"]) for stage, values in stages.items()]
    yield _metric("stage_seconds_total", "counter", "Time spent in each stage.", spent)
    yield _metric("stage_count_total", "counter", "Frames, or batches of the model, each stage had.", passed)
    queues = [({"queue": name}, depth) for name, depth in statistics.get("queues", {}).items()]
    yield _metric("queue_depth", "gauge", "What waits between two stages.", queues)
    batches = statistics.get("batches", {})
    for key, text in (("batches", "Calls of the model."), ("items", "Faces given to the model.")):
        yield _metric(f"{key}_total", "counter", text, [({}, batches[key])] if key in batches else [])
    looks = [
        ({"reason": why}, n) for why, n in statistics.get("looks", {}).items() if why != "saved_fraction"
    ]
    yield _metric(
        "looks_total", "counter", "Faces analysed by reason, and those for which it did not pay.", looks
    )
    used = statistics.get("resources", {})
    if used:
        yield _metric("cpu_seconds_total", "counter", "CPU time of the process.", [({}, used["cpu_s"])])
        yield _metric("memory_bytes", "gauge", "Resident memory.", [({}, used["memory_mb"] * 1e6)])
        gpus = [({"gpu": str(n)}, gpu["busy_fraction"]) for n, gpu in enumerate(used["gpus"])]
        yield _metric("gpu_busy_ratio", "gauge", "How busy the GPU is, by all its users.", gpus)


def _by_camera(cameras: Statistics, key: str, name: str, kind: Any, text: str) -> Metric:
    samples = [({"camera": camera}, values[key]) for camera, values in cameras.items() if key in values]
    return _metric(name, kind, text, samples)


def _metric(name: str, kind: Any, text: str, samples: list[Any]) -> Metric:
    return Metric(f"toolkit_live_{name}", kind, text, tuple(samples))
