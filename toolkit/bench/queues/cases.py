"""Who takes part in ``toolkit bench queue``, and in what."""

from __future__ import annotations

from toolkit.bench.config import QueueBenchConfig
from toolkit.bench.rounds import Case, Contender, check_names

_HERE = __package__

_OURS = (
    Contender("ours-processes", "ours", f"{_HERE}.ours:Processes"),
    Contender("ours-threads", "ours", f"{_HERE}.ours:Threads"),
)
_LIMITS = (
    Contender("raw-lists", "limit", f"{_HERE}.limits:Lists"),
    Contender("raw-streams", "limit", f"{_HERE}.limits:Streams"),
    Contender("mp-queue", "limit", f"{_HERE}.limits_in_memory:MultiprocessingQueue"),
)
_PEERS = (
    Contender("rq", "peer", f"{_HERE}.peers.rq_peer:SimpleWorkers", ("rq",)),
    Contender("celery-prefork", "peer", f"{_HERE}.peers.celery_peer:Prefork", ("celery",)),
    Contender("celery-threads", "peer", f"{_HERE}.peers.celery_peer:Threads", ("celery",)),
    Contender("dramatiq", "peer", f"{_HERE}.peers.dramatiq_peer:Processes", ("dramatiq",)),
    Contender("huey-processes", "peer", f"{_HERE}.peers.huey_peer:Processes", ("huey",)),
    Contender("huey-threads", "peer", f"{_HERE}.peers.huey_peer:Threads", ("huey",)),
    Contender("saq", "peer", f"{_HERE}.peers.saq_peer:Processes", ("saq",)),
    Contender("taskiq", "peer", f"{_HERE}.peers.taskiq_peer:Streams", ("taskiq", "taskiq_redis")),
)
# They carry what peers and text tasks do not: pictures.
_WITH_PICTURES = (
    Contender("ours-through-redis", "ours", f"{_HERE}.ours:ThroughRedis"),
    Contender("raw-streams-pictures", "limit", f"{_HERE}.limits:PictureStreams"),
    Contender("shared-ring", "limit", f"{_HERE}.limits_in_memory:SharedRing"),
)

CONTENDERS = {contender.name: contender for contender in (*_OURS, *_LIMITS, *_PEERS, *_WITH_PICTURES)}
_ALL = tuple(contender.name for contender in (*_OURS, *_LIMITS, *_PEERS))


def queue_cases(config: QueueBenchConfig) -> list[Case]:
    """The cases a bench asks for, with the contenders it asks for.

    Raises:
        ConfigError: there is no such case or contender.
    """
    cases = {case.name: case for case in _cases(config)}
    check_names("case", config.cases, cases)
    check_names("contender", config.contenders, CONTENDERS)
    return [case for name, case in cases.items() if name in (config.cases or cases)]


def _cases(config: QueueBenchConfig) -> list[Case]:
    def rate(name: str, title: str, kind: str, workers: int, names: tuple[str, ...], limit: str) -> Case:
        times = {"seconds": config.seconds, "most_tasks": config.most_tasks}
        settings = {"kind": kind, "workers": workers, **times}
        return Case(name, title, f"{_HERE}.measure:rate", settings, _chosen(names, config), limit)

    pace = {"seconds": config.latency_seconds, "tasks_per_s": config.latency_tasks_per_s}
    return [
        *(
            rate(f"no-op-{n}", f"200-byte no-op, {n} workers, tasks/s", "text", n, _ALL, "raw-streams")
            for n in (2, 4)
        ),
        Case(
            "latency",
            f"{config.latency_tasks_per_s:g} tasks/s, 2 workers: from submit to start, ms",
            f"{_HERE}.measure:latency",
            {"kind": "text", "workers": 2, **pace},
            _chosen(_ALL, config),
            limit="raw-lists",
            figure="p50_ms",
            less_is_better=True,
        ),
        *(
            rate(
                f"{kind}-memory", f"{size}, one host, 2 workers, tasks/s", kind, 2, _IN_MEMORY, "shared-ring"
            )
            for kind, size in _SIZES.items()
        ),
        *(
            rate(
                f"{kind}-redis",
                f"{size}, through Redis, 2 workers, tasks/s",
                kind,
                2,
                _OVER_REDIS,
                _OVER_REDIS[1],
            )
            for kind, size in _SIZES.items()
        ),
    ]


_SIZES = {"crop": "49 KB crops", "frame": "2.7 MB frames"}
_IN_MEMORY = ("ours-processes", "shared-ring", "mp-queue")
_OVER_REDIS = ("ours-through-redis", "raw-streams-pictures")


def _chosen(names: tuple[str, ...], config: QueueBenchConfig) -> tuple[str, ...]:
    return tuple(name for name in names if name in (config.contenders or names))
