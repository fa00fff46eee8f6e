"""Break workers, Redis, its disk and the network under 10,000 tasks, and count what became of each.

    python experiments/break_the_queue.py --tasks 10000 --json out.json

Every task notes each of its runs in a file, so that what ran twice is seen, not believed. Cutting the network
and filling a disk need root: both are done in network namespaces and on a disk in memory, made for it alone.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from broken_hosts import TwoHosts, fill, kill_redis, own_redis, small_disk, why_not, worker_host

from toolkit.errors import QueueUnavailable
from toolkit.work.task_queue import TaskQueue
from toolkit.work.worker_pool import WorkerPool

WORKERS = 4
LEASE_S = 3.0
RUN_LIMIT_S = 1.0
BAD_TASKS = 5
LONGEST_CASE_S = 180.0


def note_run(task: dict[str, Any]) -> int:
    """Leave a mark that this task is run, and take some time."""
    journal = os.open(task["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(journal, b"%d\n" % task["n"])
    os.close(journal)
    time.sleep(task["s"])
    return task["n"]


def _after_note(end: Callable[[], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda task: (note_run(task), end())[1]


HANDLERS = {
    "good": note_run,
    "hangs": _after_note(lambda: time.sleep(3600)),
    "exits": _after_note(lambda: os._exit(3)),
    "returns an object": _after_note(object),
}


@dataclass
class World:
    """What one case has to break.

    Attributes:
        queue: where its tasks go.
        nuisance: asked ten times a second until all is settled; breaks something when its time has come.
        notes: what was seen while it was broken.
    """

    queue: TaskQueue
    nuisance: Iterator[bool] = field(default_factory=lambda: itertools.repeat(False))
    notes: dict[str, Any] = field(default_factory=dict)


class Case(NamedTuple):
    """A world, the type of its few bad tasks, and what it takes to have it."""

    world: Callable[[Path], AbstractContextManager[World]]
    bad_type: str = "good"
    needs: tuple[str, ...] = ()


def every(seconds: float, most: int, action: Callable[[], None]) -> Iterator[bool]:
    """A nuisance that acts so often, the first time after ``seconds``; each step tells whether it did."""
    begun_at = time.monotonic()
    for number in range(1, most + 1):
        while time.monotonic() < begun_at + seconds * number:
            yield False
        action()
        yield True
    yield from itertools.repeat(False)


@contextlib.contextmanager
def one_pool(folder: Path, workers: int = WORKERS, **options: Any) -> Iterator[tuple[World, WorkerPool]]:
    """A pool of processes over a Redis of its own."""
    with own_redis() as (_, url), _queue(url) as queue, _pool(queue, workers, **options) as pool:
        yield World(queue), pool


@contextlib.contextmanager
def worker_killed(folder: Path) -> Iterator[World]:
    """kill -9 of a worker every second."""
    choose = random.Random(7).choice
    with one_pool(folder) as (world, pool):

        def kill_one() -> None:
            pids = [process["pid"] for process in pool.statistics().get("processes", [])]
            if pids:
                psutil.Process(choose(pids)).kill()

        world.nuisance = every(1.0, 60, kill_one)
        yield world


@contextlib.contextmanager
def redis_killed(folder: Path) -> Iterator[World]:
    """kill -9 of Redis three times; a second later it is started again on its append-only file."""
    with own_redis() as (server, url), _queue(url) as queue, _pool(queue):

        def kill_and_start() -> None:
            kill_redis(url)
            time.sleep(1.0)
            server.start()

        yield World(queue, every(2.0, 3, kill_and_start))


@contextlib.contextmanager
def bad_tasks(folder: Path) -> Iterator[World]:
    """A few tasks among the others hang, exit the interpreter, or return what cannot travel."""
    with one_pool(folder, run_limit_s=RUN_LIMIT_S) as (world, _):
        yield world


@contextlib.contextmanager
def two_pools(folder: Path) -> Iterator[World]:
    """Two pools, one of them ``toolkit worker``, which is told to end in the middle."""
    with one_pool(folder, workers=2) as (world, _):
        url, name = world.queue.url, world.queue.name
        with worker_host(url, name, LEASE_S, folder / "worker.log") as other:
            world.nuisance = every(4.0, 1, other.terminate)
            yield world


@contextlib.contextmanager
def disk_full(folder: Path) -> Iterator[World]:
    """The disk with the append-only file is full for four seconds."""
    with (
        small_disk(folder / "disk", size_mb=64) as disk,
        own_redis(disk) as (_, url),
        _queue(url) as queue,
        _pool(queue),
    ):
        world = World(queue)

        def fill_and_free() -> None:
            filler = fill(disk)
            time.sleep(2.0)
            try:
                queue.enqueue({"type": "good", "n": -1, "s": 0, "journal": os.devnull})
                world.notes["refused_while_full"] = False
            except QueueUnavailable:
                world.notes["refused_while_full"] = True
            time.sleep(2.0)
            filler.unlink()

        world.nuisance = every(2.0, 1, fill_and_free)
        yield world


@contextlib.contextmanager
def network_cut(folder: Path) -> Iterator[World]:
    """Workers on two hosts; the cable to the second one is cut twice, for longer than a lease."""
    hosts = TwoHosts()
    with (
        hosts.up(folder) as (url, local_url),
        _queue(local_url) as queue,
        worker_host(url, queue.name, LEASE_S, folder / "first.log", hosts.first),
        worker_host(url, queue.name, LEASE_S, folder / "second.log", hosts.second),
    ):

        def cut_and_mend() -> None:
            hosts.set_cable("down")
            time.sleep(2 * LEASE_S)
            hosts.set_cable("up")

        yield World(queue, every(2.0, 2, cut_and_mend))


CASES = {
    "worker killed every second": Case(worker_killed),
    "redis killed three times": Case(redis_killed),
    "handlers that hang": Case(bad_tasks, "hangs"),
    "handlers that exit": Case(bad_tasks, "exits"),
    "results that cannot travel": Case(bad_tasks, "returns an object"),
    "two pools, one ends": Case(two_pools),
    "disk full": Case(disk_full, needs=("mount", "umount")),
    "network cut": Case(network_cut, needs=("ip",)),
}


def run_case(case: Case, number: int, task_s: float) -> dict[str, Any]:
    """Put the tasks into a world, break it until all are settled, and count."""
    if reason := (why_not(case.needs) if case.needs else ""):
        return {"skipped": reason}
    before = _running()
    with tempfile.TemporaryDirectory(prefix="broken-") as name:
        folder, started_at = Path(name), time.monotonic()
        with case.world(folder) as world:
            journal = folder / "journal"
            tasks = [{"type": "good", "n": n, "s": task_s, "journal": str(journal)} for n in range(number)]
            for task in tasks[:: max(1, number // BAD_TASKS)][:BAD_TASKS]:
                task["type"] = case.bad_type
            handles = world.queue.submit_many(tasks)
            numbers, times_broken = _wait_until_settled(world, number)
            records = {
                record["task_id"]: record["status"] for record in world.queue.get_results(2 * number, 20)
            }
            dead = {letter.task_id for letter in world.queue.dead_letters.newest(1000)}
        runs = Counter(map(int, journal.read_text().split()))
    statuses = Counter(records.get(handle, "lost") for handle in handles)
    return {
        "times_broken": times_broken,
        "tasks": number,
        "done": statuses["done"],
        "dead": len(dead),
        "lost": number - statuses["done"] - len(dead & set(handles)),
        "never_run": number - len(runs),
        "run_again": sum(times > 1 for times in runs.values()),
        "taken_over": numbers["taken_over"],
        "second_results_let_go": numbers["late"],
        "seconds": round(time.monotonic() - started_at, 1),
        **world.notes,
        "left_behind": _left_behind(before),
    }


def _wait_until_settled(world: World, number: int) -> tuple[dict[str, Any], int]:
    """The queue's own numbers at the end, and how often something was broken."""
    deadline, times_broken = time.monotonic() + LONGEST_CASE_S, 0
    while True:
        # Redis may be what is broken.
        with contextlib.suppress(QueueUnavailable):
            numbers = world.queue.statistics()
            is_over = numbers["done"] + numbers["failed"] >= number
            is_empty = numbers["waiting"] + numbers["in_hand"] == 0
            if (is_over and is_empty) or time.monotonic() > deadline:
                return numbers, times_broken
        times_broken += next(world.nuisance)
        time.sleep(0.1)


def _queue(url: str) -> TaskQueue:
    return TaskQueue(f"broken-{os.getpid()}", url, lease_s=LEASE_S)


def _pool(queue: TaskQueue, workers: int = WORKERS, **options: Any) -> WorkerPool:
    return WorkerPool(workers, "break_the_queue:HANDLERS", queue, backend="processes", **options)


def _running() -> set[str]:
    """Threads, child processes, mounts and network namespaces, by name."""
    threads = {f"thread {thread.name}" for thread in threading.enumerate()}
    children = {f"process {child.pid}" for child in psutil.Process().children(recursive=True)}
    # ``ip netns`` makes one for itself when it is used first, and keeps it.
    mounts = {f"mount {part.mountpoint}" for part in psutil.disk_partitions(all=True)} - {"mount /run/netns"}
    spaces = {f"namespace {path.name}" for path in Path("/var/run/netns").glob("*")}
    return threads | children | mounts | spaces


def _left_behind(before: set[str], grace_s: float = 5.0) -> list[str]:
    deadline = time.monotonic() + grace_s
    while (left := _running() - before) and time.monotonic() < deadline:
        time.sleep(0.1)
    return sorted(left)


def main() -> int:
    """Run the cases; 1 when a task was lost or anything is left behind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--task-ms", type=float, default=4.0, help="how long a task takes")
    parser.add_argument("--only", action="append", choices=list(CASES), help="may be repeated")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    # So that nothing is left behind then, either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What workers say of their ends is expected here.
    logging.getLogger("toolkit").addHandler(logging.NullHandler())
    results = {}
    for name in options.only or CASES:
        results[name] = result = run_case(CASES[name], options.tasks, options.task_ms / 1000)
        print(f"{name}: {', '.join(f'{key} {value}' for key, value in result.items())}", flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=2) + "\n")
    is_bad = any(
        result.get("lost") or result.get("never_run") or result.get("left_behind")
        for result in results.values()
    )
    return 1 if is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
