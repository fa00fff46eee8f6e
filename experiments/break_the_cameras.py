"""Break cameras in every way cameras break, a minute each, and count every frame of all of them.

    python experiments/break_the_cameras.py --seconds 60 --json out.json

Eight cameras, real RTSP servers in processes of their own, run through one street. In each case one (or
all, where it says so) is broken again and again; its neighbours must not notice. The cable is cut, and loses
packets, between two network namespaces, which needs root. The kernel loses them by netem or, where that is
not built, by a rule of nftables; in one case, which needs neither, the server leaves them out itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psutil
from rich.console import Console
from rich.table import Table

from toolkit.bench.cameras.film import write_street
from toolkit.live.camera_config import CameraConfig
from toolkit.live.pipeline import LivePipeline, PipelineConfig
from toolkit.records import Detection, FrameResult, Prediction
from toolkit.rtsp.process import CameraProcess
from toolkit.rtsp.server import RtspServer

FPS = 15
FILM_WH, OTHER_WH = (480, 272), (640, 360)
FATES = ("analysed", "skipped", "failed", "in_flight")
WELL_S = 5.0
LONGEST_WAIT_S = 20.0
LEAST_NEIGHBOUR_SHARE = 0.95
FAR_HOST = "10.78.0.2"


@dataclass
class World:
    """What one case has to break.

    Attributes:
        addresses: of all cameras, by name; ``cam0`` is the victim.
        begin: breaks it.
        end: makes it well again.
        ill_s: how long it stays broken.
        config: how the cameras are read.
        breaks_all: whether no neighbour is left whole.
        comes_back: whether the victim is expected to be seen again after each end.
        notes: more that was seen.
    """

    addresses: dict[str, str]
    begin: Callable[[], None]
    end: Callable[[], None]
    ill_s: float = 3.0
    config: CameraConfig = field(
        default_factory=lambda: CameraConfig(
            retry=True, open_timeout_s=3.0, read_timeout_s=3.0, retry_most_s=4.0
        )
    )
    breaks_all: bool = False
    comes_back: bool = True
    notes: Callable[[], dict[str, Any]] = dict


@dataclass(frozen=True)
class Setting:
    """What cases are made of: the number of cameras, a film, and one of another size."""

    cameras: int
    film: Path
    other: Path


Case = Callable[[Setting], contextlib.AbstractContextManager[World]]


@contextlib.contextmanager
def _servers(setting: Setting) -> Iterator[list[CameraProcess]]:
    with ExitStack() as stack:
        yield [stack.enter_context(CameraProcess(setting.film)) for _ in range(setting.cameras)]


def _addresses(servers: Sequence[CameraProcess]) -> dict[str, str]:
    return {f"cam{number}": server.url for number, server in enumerate(servers)}


@contextlib.contextmanager
def killed(setting: Setting) -> Iterator[World]:
    """The victim loses power for three seconds."""
    with _servers(setting) as servers:
        yield World(_addresses(servers), servers[0].kill, servers[0].start)


@contextlib.contextmanager
def all_killed(setting: Setting) -> Iterator[World]:
    """All cameras lose power at once, as when their switch restarts."""
    with _servers(setting) as servers:

        def for_all(do: str) -> None:
            for server in servers:
                getattr(server, do)()

        yield World(_addresses(servers), lambda: for_all("kill"), lambda: for_all("start"), breaks_all=True)


@contextlib.contextmanager
def frozen(setting: Setting) -> Iterator[World]:
    """The victim's process is stopped for eight seconds; its kernel goes on taking connections."""
    with _servers(setting) as servers:
        yield World(_addresses(servers), servers[0].freeze, servers[0].thaw, ill_s=8.0)


@contextlib.contextmanager
def resized(setting: Setting) -> Iterator[World]:
    """The victim changes the size of its picture in the middle of the stream."""
    with _servers(setting) as servers:
        yield World(
            _addresses(servers),
            lambda: servers[0].show(setting.other),
            lambda: servers[0].show(setting.film),
        )


@contextlib.contextmanager
def damaged(setting: Setting) -> Iterator[World]:
    """A fifth of the victim's packets come damaged."""
    with _servers(setting) as servers:
        yield World(_addresses(servers), lambda: servers[0].damage(0.2), lambda: servers[0].damage(0.0))


@contextlib.contextmanager
def lossy_udp(setting: Setting) -> Iterator[World]:
    """All cameras send over UDP, and leave out one packet in twenty, from beginning to end."""
    with _servers(setting) as servers:
        for server in servers:
            server.lose(0.05)
        udp = CameraConfig(retry=True, transport="udp")
        yield World(_addresses(servers), lambda: None, lambda: None, config=udp, breaks_all=True)


@contextlib.contextmanager
def wrong_password(setting: Setting) -> Iterator[World]:
    """The victim's password is wrong, from beginning to end."""
    with (
        _servers(setting) as servers,
        RtspServer({"cam": setting.film}, credentials=("ada", "right")) as locked,
    ):
        addresses = _addresses(servers) | {"cam0": locked.url("cam", userinfo="ada:wrong")}
        yield World(
            addresses,
            lambda: None,
            lambda: None,
            config=CameraConfig(retry=True),
            comes_back=False,
            notes=lambda: {"logins_tried": locked.connections},
        )


@contextlib.contextmanager
def hanging(setting: Setting) -> Iterator[World]:
    """Three cameras take connections and never answer; they wake up after eight seconds."""
    with _servers(setting) as servers:

        def for_three(do: str) -> None:
            for server in servers[:3]:
                getattr(server, do)()

        for_three("freeze")
        yield World(_addresses(servers), lambda: for_three("freeze"), lambda: for_three("thaw"), ill_s=8.0)


@contextlib.contextmanager
def cable_cut(setting: Setting) -> Iterator[World]:
    """The cable to the victim is cut for eight seconds; neither end is told (runs inside a namespace)."""
    far = os.environ["FAR_NAMESPACE"]
    with (
        _servers(setting) as servers,
        CameraProcess(setting.film, FAR_HOST, launcher=("ip", "netns", "exec", far)) as victim,
    ):

        def set_cable(state: str) -> None:
            _do("ip", "-n", far, "link", "set", "far0", state)

        addresses = _addresses(servers) | {"cam0": victim.url}
        yield World(addresses, lambda: set_cable("down"), lambda: set_cable("up"), ill_s=8.0)


def lossy_cable(setting: Setting, transport: Literal["tcp", "udp"]) -> Iterator[World]:
    """The cable to all cameras loses one packet in twenty, both ways, from beginning to end (as above)."""
    far = os.environ["FAR_NAMESPACE"]
    with ExitStack() as stack:
        servers = [
            stack.enter_context(CameraProcess(setting.film, FAR_HOST, launcher=("ip", "netns", "exec", far)))
            for _ in range(setting.cameras)
        ]
        ways = [lose_arriving(0.05), lose_arriving(0.05, ("ip", "netns", "exec", far))]
        config = CameraConfig(retry=True, transport=transport)
        yield World(
            _addresses(servers),
            lambda: None,
            lambda: None,
            config=config,
            breaks_all=True,
            notes=lambda: {"lost_by": " and ".join(sorted(set(ways)))},
        )


def lose_arriving(share: float, inside: Sequence[str] = ()) -> str:
    """Let the kernel lose this share of the packets that arrive from the cable; names what loses them.

    Args:
        share: 0 to 1.
        inside: words before a command that run it in another namespace.
    """
    # What one end sends arrives at the other: netem delays and loses what is sent.
    device = "far0" if inside else "near0"
    netem = ("tc", "qdisc", "add", "dev", device, "root", "netem", "loss", f"{share:.0%}")
    if (
        shutil.which("tc")
        and not subprocess.run([*inside, *netem], capture_output=True, check=False).returncode
    ):
        return "netem"
    rules = f"""
        add table ip toolkit
        add chain ip toolkit arriving {{ type filter hook input priority 0; }}
        add rule ip toolkit arriving iifname {device} numgen random mod 100 < {round(100 * share)} drop
    """
    subprocess.run([*inside, "nft", "-f", "-"], input=rules, text=True, check=True)
    return "nftables"


CASES: dict[str, Case] = {
    "killed": killed,
    "all killed": all_killed,
    "frozen": frozen,
    "cable cut": cable_cut,
    "three hang": hanging,
    "wrong password": wrong_password,
    "resized": resized,
    "damaged packets": damaged,
    "5 % left out over UDP": lossy_udp,
    "5 % lost on the cable, UDP": contextlib.contextmanager(partial(lossy_cable, transport="udp")),
    "5 % lost on the cable, TCP": contextlib.contextmanager(partial(lossy_cable, transport="tcp")),
}
ON_A_CABLE = ("cable cut", "5 % lost on the cable, UDP", "5 % lost on the cable, TCP")
"""These run inside a network namespace."""


class Watch:
    """Looks at a running street: who was seen last when, and whether the books balance at any moment."""

    def __init__(self) -> None:
        self.seen_at: dict[str, float] = {}
        self.looks = 0
        self.unbalanced = 0

    def __call__(self, result: FrameResult) -> None:
        self.seen_at[result.frame.camera] = result.frame.captured_at

    def look(self, pipeline: LivePipeline) -> dict[str, dict[str, Any]]:
        """The cameras' statistics, their books checked."""
        cameras = pipeline.statistics()["cameras"]
        self.looks += 1
        self.unbalanced += any(told["read"] != sum(told[fate] for fate in FATES) for told in cameras.values())
        return cameras

    def wait(self, pipeline: LivePipeline, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Look ten times a second; whether ``until`` came true within so many seconds."""
        deadline = time.monotonic() + seconds
        while not (is_true := until()) and time.monotonic() < deadline:
            self.look(pipeline)
            time.sleep(0.1)
        return is_true


class OneFace:
    """Finds one face in every picture, and costs nothing."""

    name = "one face"
    longest_side_px = OTHER_WH[0]

    def __call__(self, images: Sequence[Any]) -> list[list[Detection]]:
        return [[Detection((100.0, 60.0, 180.0, 160.0), 0.9)] for _ in images]


def run_case(case: Case, setting: Setting, seconds: float) -> dict[str, Any]:
    """Break a world for so long, and count."""
    before, watch = _running(), Watch()
    with case(setting) as world:
        pipeline = LivePipeline(
            world.addresses,
            detect=OneFace(),
            predict=lambda crops: [Prediction("female", 0.8, 30.0, 5.0) for _ in crops],
            config=PipelineConfig(),
            camera_config=world.config,
            listeners=[watch],
        )
        asked_at = time.monotonic()
        pipeline.start()
        neighbours = [name for name in world.addresses if name != "cam0"]
        if case is hanging:
            neighbours = neighbours[2:]
        # A world that is broken as a whole has no neighbours to wait for, but its cameras are all there.
        watch.wait(pipeline, LONGEST_WAIT_S, lambda: set(neighbours) <= set(watch.seen_at))
        first_s = time.monotonic() - asked_at
        backs_s, figures = _break_again_and_again(world, pipeline, watch, seconds)
        stop_asked_at = time.monotonic()
        is_stopped = pipeline.stop()
        stop_s = time.monotonic() - stop_asked_at
        cameras = watch.look(pipeline)
        notes = world.notes()
    return {
        "neighbours_first_picture_s": round(first_s, 2),
        "times_broken": len(backs_s),
        "times_back": sum(back is not None for back in backs_s),
        "back_s": round(statistics.median([b for b in backs_s if b is not None] or [0]), 2),
        "slowest_back_s": round(max([b for b in backs_s if b is not None], default=0), 2),
        **_shares(figures, neighbours, is_all_broken=world.breaks_all),
        "read": sum(told["read"] for told in cameras.values()),
        **{fate: sum(told[fate] for told in cameras.values()) for fate in FATES},
        "corrupt_packets": sum(told["corrupt_packets"] for told in cameras.values()),
        "reconnects": sum(told["reconnects"] for told in cameras.values()),
        "looks": watch.looks,
        "unbalanced": watch.unbalanced,
        "stop_s": round(stop_s, 2),
        "is_stopped": is_stopped,
        "expects_return": world.comes_back,
        **notes,
        "left_behind": _left_behind(before),
    }


def _break_again_and_again(
    world: World, pipeline: LivePipeline, watch: Watch, seconds: float
) -> tuple[list[float | None], dict[str, Any]]:
    """Seconds from each end of the illness to the next picture, None where none came; and what was read."""
    backs_s: list[float | None] = []
    begun_at, first = time.monotonic(), watch.look(pipeline)
    while time.monotonic() - begun_at < seconds:
        world.begin()
        watch.wait(pipeline, world.ill_s)
        world.end()
        ended_at = time.monotonic()
        is_back = watch.wait(
            pipeline,
            LONGEST_WAIT_S if world.comes_back else 0,
            lambda ended_at=ended_at: watch.seen_at.get("cam0", 0) > ended_at,
        )
        backs_s.append(watch.seen_at["cam0"] - ended_at if is_back else None)
        watch.wait(pipeline, WELL_S)
    elapsed_s, last = time.monotonic() - begun_at, watch.look(pipeline)
    read = {name: last[name]["read"] - first[name]["read"] for name in last}
    gaps_s = {name: last[name]["longest_gap_s"] for name in last}
    return backs_s, {"elapsed_s": elapsed_s, "read": read, "gaps_s": gaps_s}


def _shares(figures: dict[str, Any], neighbours: list[str], is_all_broken: bool) -> dict[str, Any]:
    """How many pictures of the victim were lost, and what the neighbours got of theirs."""
    sent = figures["elapsed_s"] * FPS
    told: dict[str, Any] = {
        "pictures_sent_by_victim": round(sent),
        "lost_of_victim": max(0, round(sent - figures["read"]["cam0"])),
    }
    if is_all_broken:
        return told | {"neighbours_share": None, "neighbours_longest_gap_s": None}
    return told | {
        "neighbours_share": round(min(figures["read"][name] for name in neighbours) / sent, 3),
        "neighbours_longest_gap_s": round(max(figures["gaps_s"][name] for name in neighbours), 3),
    }


def run_in_namespaces(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run a case in a network namespace with a cable to another one."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return {"not_run": "needs root and the command ip"}
    if name != "cable cut" and shutil.which("nft") is None:
        return {"not_run": "needs the command nft, for kernels without netem"}
    near, far = (f"toolkit-{os.getpid()}-{end}" for end in ("near", "far"))
    with ExitStack() as stack:
        for namespace in (near, far):
            _do("ip", "netns", "add", namespace)
            stack.callback(_do, "ip", "netns", "del", namespace)
            _do("ip", "-n", namespace, "link", "set", "lo", "up")
        _do("ip", "-n", near, "link", "add", "near0", "type", "veth", "peer", "far0", "netns", far)
        for namespace, end, host in ((near, "near0", "10.78.0.1"), (far, "far0", FAR_HOST)):
            _do("ip", "-n", namespace, "address", "add", f"{host}/30", "dev", end)
            _do("ip", "-n", namespace, "link", "set", end, "up")
        out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cable-"))) / "out.json"
        command = ["ip", "netns", "exec", near, sys.executable, __file__, "--only", name]
        command += ["--seconds", str(options.seconds), "--cameras", str(options.cameras), "--json", str(out)]
        subprocess.run(
            command, env={**os.environ, "FAR_NAMESPACE": far}, stdout=subprocess.DEVNULL, check=False
        )
        return json.loads(out.read_text())[name]


def faults(result: dict[str, Any]) -> list[str]:
    """What a case shows that must not be."""
    if "not_run" in result:
        return []
    found = []
    if result["unbalanced"] or result["in_flight"]:
        found.append("books do not balance")
    if result["expects_return"] and result["times_back"] < result["times_broken"]:
        found.append("did not come back")
    if (result["neighbours_share"] or 1.0) < LEAST_NEIGHBOUR_SHARE:
        found.append("neighbours slowed")
    if not result["is_stopped"] or result["left_behind"]:
        found.append("left something behind")
    return found


def table(results: dict[str, dict[str, Any]]) -> Table:
    """The cases, a row each."""
    shown = Table("case", "broken", "back after, s (slowest)", "lost of sent", "neighbours", "faults")
    for name, told in results.items():
        if "not_run" in told:
            shown.add_row(name, "", "", "", "", f"not run: {told['not_run']}")
            continue
        share, gap_s = told["neighbours_share"], told["neighbours_longest_gap_s"]
        shown.add_row(
            name,
            str(told["times_broken"]),
            f"{told['back_s']:.1f} ({told['slowest_back_s']:.1f})" if told["expects_return"] else "",
            f"{told['lost_of_victim']} of {told['pictures_sent_by_victim']}",
            "" if share is None else f"{share:.1%}, longest gap {gap_s:.2f} s",
            ", ".join(faults(told)) or "none",
        )
    return shown


def _running() -> set[str]:
    threads = {f"thread {thread.name}" for thread in threading.enumerate()}
    return threads | {f"process {child.pid}" for child in psutil.Process().children(recursive=True)}


def _left_behind(before: set[str], grace_s: float = 5.0) -> list[str]:
    deadline = time.monotonic() + grace_s
    while (left := _running() - before) and time.monotonic() < deadline:
        time.sleep(0.1)
    return sorted(left)


def _do(*command: str) -> None:
    subprocess.run(command, check=True)


def main() -> int:
    """Run the cases; 1 when one shows what must not be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each case is broken")
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--only", action="append", choices=list(CASES), help="may be repeated")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    # That cameras are lost is what is wanted here.
    logging.getLogger("toolkit").addHandler(logging.NullHandler())
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="cameras-") as name:
        films = [
            write_street(Path(name) / f"{width}.mp4", seconds=6, fps=FPS, size_wh=(width, height))
            for width, height in (FILM_WH, OTHER_WH)
        ]
        setting = Setting(options.cameras, *films)
        for name in options.only or CASES:
            if name in ON_A_CABLE and "FAR_NAMESPACE" not in os.environ:
                results[name] = run_in_namespaces(name, options)
            else:
                results[name] = run_case(CASES[name], setting, options.seconds)
            print(f"{name}: {', '.join(f'{k} {v}' for k, v in results[name].items())}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(results, indent=2) + "\n")
    Console().print(table(results))
    return 1 if any(map(faults, results.values())) else 0


if __name__ == "__main__":
    sys.exit(main())
