"""A run drawn on a panel: the wall at a fixed rate, the numbers once a second, all from snapshots."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from toolkit.live.source import is_live_address
from toolkit.live_run import LiveRun
from toolkit.notebook.panel import Panel
from toolkit.notebook.runs import camera_table, machine_line, place_table, stage_table
from toolkit.notebook.state import DashboardState
from toolkit.notebook.trends import Trends, WatchedResults
from toolkit.notebook.wall import Wall

_SHARE_WHEN_SHORT = 0.015
"""Of a run's CPU time: what drawing it may take while the run is short of time itself. The run loses about
twice as much, because what is drawn is also sent, and takes turns with it at the interpreter."""

_SHORT_FROM = 0.85
"""A run that uses so much of its cores has no time to give away."""


class Screen:
    """Draws what is new. A browser that is slow, or gone, holds nobody up: nothing waits for it.

    Args:
        run: which has started.
        results: the listener of that run.
        panel: where it is drawn.
        width_px: of the wall.
        pictures_per_s: most pictures of the wall a second. There are fewer while the run is short of time:
            when it uses all cores, or plays recordings as fast as it can.
    """

    def __init__(
        self, run: LiveRun, results: WatchedResults, panel: Panel, width_px: int, pictures_per_s: float
    ) -> None:
        self.wall = Wall(run.live.cameras, results, width_px, run.picture)
        self.states: dict[str, str] = {}
        self._run = run
        self._results = results
        self._panel = panel
        self._period_s = 1 / pictures_per_s
        self._trends = Trends()
        self._seen: Mapping[str, Any] = {}
        self._is_short = False
        self._next_at = time.monotonic()

    def draw(self) -> float:
        """Draw what is new; gives the seconds until it is worth drawing again."""
        began, cpu_began_s = time.monotonic(), time.thread_time()
        if list(self._run.live.cameras) != self.wall.cameras:
            self.wall.show(self._run.live.cameras)
        jpeg = self.wall.jpeg_if_new(self.states, self._panel.controls.blur_toggle.value)
        if jpeg is not None:
            self._panel.wall_image.value = jpeg
        if self._run.newest is not self._seen:
            self._seen = self._run.newest
            self._is_short = self._is_short_of_time(self._seen["resources"])
            self._draw_numbers(self._seen)
        now, cpu_s = time.monotonic(), time.thread_time() - cpu_began_s
        # Rests at least as long as it computed: where drawing is slow, the run needs the cores more. Time in
        # which it waited for the interpreter took nothing from the run.
        self._next_at = max(self._next_at + self._period_s, now + cpu_s, began + self._pause_s(cpu_s))
        return self._next_at - now

    def _pause_s(self, cpu_s: float) -> float:
        """From one drawing to the next, if it is to leave the cores to a run that is short of time."""
        if not self._is_short:
            return 0.0
        # In its first second the run has not been seen to use anything.
        return min(cpu_s / (_SHARE_WHEN_SHORT * max(self._seen["resources"]["cpu_cores_used"], 0.1)), 1.0)

    def _is_short_of_time(self, used: Mapping[str, Any]) -> bool:
        live = self._run.live
        if not live.camera.realtime and not all(map(is_live_address, live.cameras.values())):
            return True
        return used["cpu_cores_used"] >= _SHORT_FROM * used["cpu_cores"]

    def _draw_numbers(self, statistics: Mapping[str, Any]) -> None:
        elapsed_s = self._run.elapsed_s
        self.states = {camera: values["state"] for camera, values in statistics["cameras"].items()}
        told = f"{elapsed_s:.0f} s, {statistics['frames_per_s_now']:.0f} frames/s"
        if runtime := statistics["runtime"]:
            told += f", model in {runtime['name']}"
        self._panel.tell(DashboardState.LIVE, told)
        self._panel.show_events(self._run.events.events())
        self._trends.add(elapsed_s, statistics, self._results.take_latencies_s(), self.wall.results())
        self._panel.plots_html.value = self._trends.html()
        show_tables(self._panel, statistics, now=True)


def show_tables(panel: Panel, statistics: Mapping[str, Any], now: bool) -> None:
    """Cameras, places, stages and the machine; ``now`` for the rates of the last seconds."""
    cameras, places = camera_table(statistics, now), place_table(statistics)
    panel.show_tables(cameras, places, stage_table(statistics), machine_line(statistics))
