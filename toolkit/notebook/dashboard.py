"""The dashboard: a live run, watched and steered from a notebook."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from weakref import WeakSet

from IPython.display import display

from toolkit.addresses import without_password
from toolkit.errors import ConfigError, ToolkitError
from toolkit.experiment import Experiment
from toolkit.live.listeners import LatestResults
from toolkit.live_parts import MakePipeline, make_pipeline
from toolkit.live_run import LiveReport, LiveRun
from toolkit.notebook.described import DescribedImage
from toolkit.notebook.live_plot import lines_plot
from toolkit.notebook.panel import Panel
from toolkit.notebook.runs import camera_table, machine_line, place_table, stage_table
from toolkit.notebook.wall import Wall
from toolkit.tracking import DEFAULT_STORE, run_name

logger = logging.getLogger(__name__)

_NUMBERS_EVERY_S = 1.0
_RATES_KEPT = 32


@dataclass(frozen=True)
class DashboardConfig:
    """How much a browser is given to show.

    Attributes:
        width_px: of the wall.
        pictures_per_s: most pictures of the wall a second; a browser cannot tell that it falls behind, so
            the rate is fixed, and 12 of this width were shown without delay.
    """

    width_px: int = 1280
    pictures_per_s: float = 12.0

    def __post_init__(self) -> None:
        if not 160 <= self.width_px <= 1280:
            raise ConfigError(f"width_px must lie between 160 and 1280, got {self.width_px}")
        if not 0 < self.pictures_per_s <= 30:
            raise ConfigError(f"pictures_per_s must lie between 0 and 30, got {self.pictures_per_s}")


class DashboardState(Enum):
    """What the dashboard's run is doing."""

    NEW = "not started"
    LOADING = "loading detector, model and MLflow"
    LIVE = "live"
    SAVING = "saving"
    OVER = "over"
    FAILED = "failed"
    CLOSED = "closed"


_CAN_START = (DashboardState.NEW, DashboardState.OVER, DashboardState.FAILED)


_dashboards: WeakSet[LiveDashboard] = WeakSet()
"""Those of this process; whoever starts ends the others' runs."""


class LiveDashboard:
    """A wall of pictures, a table, a plot of rates, and buttons that start and stop live runs.

    Every start is a run of its own, recorded as ``toolkit live`` records one. A thread of the dashboard owns
    the run and draws from its newest results, so that neither a cell nor a slow browser holds the run up.
    Between runs no thread is alive and no camera open. One dashboard of a process runs at a time: a start
    ends the run of another one, as when a notebook's cell is run again. ::

        dashboard = LiveDashboard(experiment)
        dashboard.start()
        dashboard

    Args:
        experiment: must have a part ``live``.
        out_dir: each run leaves its sample pictures in a folder of its own below it.
        config: see :class:`DashboardConfig`.
        make: stands in for :func:`make_pipeline`.

    Raises:
        ConfigError: the experiment has no part ``live``.
    """

    def __init__(
        self,
        experiment: Experiment,
        out_dir: Path = DEFAULT_STORE / "live",
        config: DashboardConfig | None = None,
        make: MakePipeline = make_pipeline,
    ) -> None:
        if experiment.live is None:
            raise ConfigError(f"experiment {experiment.name!r} has no part 'live': live: {{cameras: ...}}")
        self.config = config or DashboardConfig()
        self.report: LiveReport | None = None
        self.error: Exception | None = None
        self._experiment = experiment
        self._cameras = list(experiment.live.cameras)
        self._out_dir = out_dir
        self._make = make
        self._states: dict[str, str] = {}
        self._rates: dict[str, deque[tuple[float, float]]] = {}
        self._wall = Wall(self._cameras, LatestResults(), self.config.width_px)
        self._stop_asked = threading.Event()
        self._changed = threading.Condition()
        self._state = DashboardState.NEW
        self._thread: threading.Thread | None = None
        self._to_end_first: list[LiveDashboard] = []
        self.panel = Panel(self.config.width_px)
        # A callback waits while a cell runs, and must not hold the kernel: these return at once.
        self.panel.start_button.on_click(lambda _: self.start())
        self.panel.stop_button.on_click(lambda _: self._stop_asked.set())
        self.panel.blur_toggle.observe(lambda _: self._draw_wall(), "value")
        self._draw_wall()
        self._enter(DashboardState.NEW)
        _dashboards.add(self)

    @property
    def state(self) -> DashboardState:
        """What the run is doing now."""
        return self._state

    @property
    def is_running(self) -> bool:
        """Whether a run is on, is being loaded or saved."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin a new run and return at once; nothing happens while one is on.

        Raises:
            ConfigError: the dashboard is closed.
        """
        with self._changed:
            if self._state is DashboardState.CLOSED:
                raise ConfigError("this dashboard is closed; make a new one")
            if self._state not in _CAN_START:
                return
            self._stop_asked.clear()
            # Those that run now, and none that starts later and waits for this one.
            self._to_end_first = [
                other for other in list(_dashboards) if other.is_running and other is not self
            ]
            self.report = self.error = None
            self._enter(DashboardState.LOADING)
            self._thread = threading.Thread(target=self._run, name="dashboard", daemon=True)
            self._thread.start()

    def watch(self, seconds: float | None = None) -> None:
        """Wait until the run has been live for ``seconds``, or is over; buttons pressed meanwhile act later.

        Raises:
            ToolkitError: the run has failed; this is its error.
        """
        live = (DashboardState.LIVE, *_CAN_START)
        with self._changed:
            self._changed.wait_for(lambda: self._state in live)
            self._changed.wait_for(lambda: self._state in _CAN_START, seconds)
        if self.error is not None:
            raise self.error

    def stop(self, timeout_s: float = 60.0) -> bool:
        """End the run and wait until it is recorded; may be called twice, or without a start.

        Returns:
            False when something is stuck beyond ``timeout_s``; the log names it.
        """
        self._stop_asked.set()
        thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_s)
        if thread.is_alive():
            logger.error("the dashboard's run is still %s %.0f s after stop", self._state.value, timeout_s)
        return not thread.is_alive()

    def close(self) -> None:
        """Stop for good; what was shown last stays to be seen."""
        self.stop()
        with self._changed:
            self._enter(DashboardState.CLOSED)

    def snapshot(self, blur_faces: bool = True) -> DescribedImage:
        """The wall as a picture that stays in the notebook and in its HTML, where widgets are blank."""
        names = ", ".join(self._cameras)
        jpeg = self._wall.jpeg(self._states, blur_faces)
        return DescribedImage(jpeg, "jpeg", f"The newest picture of each camera: {names}")

    def __enter__(self) -> LiveDashboard:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ipython_display_(self) -> None:
        display(self.panel.box)

    def _enter(self, state: DashboardState, text: str = "") -> None:
        with self._changed:
            self._state = state
            self.panel.start_button.disabled = state not in _CAN_START
            self.panel.stop_button.disabled = state is not DashboardState.LIVE
            self.panel.tell(state.value, text)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self.report = self._run_once()
        except Exception as error:
            # The outermost loop of the thread: whatever was raised is shown, and raised again by watch().
            text = without_password(str(error))
            logger.error("the run failed: %s", text, exc_info=not isinstance(error, ToolkitError))
            self.error = error
            self._enter(DashboardState.FAILED, text)
        else:
            run_id = self.report.statistics["mlflow_run_id"]
            self._enter(
                DashboardState.OVER, f"MLflow run {run_id}" if run_id else "not in MLflow: see the log"
            )

    def _run_once(self) -> LiveReport:
        """Load, show until the end or until somebody stops it, save."""
        for other in self._to_end_first:
            # Two runs would share the cores, and a USB camera can be opened only once.
            other.stop()
        latest = LatestResults()
        out_dir = self._out_dir / run_name(self._experiment.name)
        run = LiveRun(self._experiment, out_dir, listeners=(latest,), make=self._make)
        run.start()
        self._states, self._wall = {}, Wall(self._cameras, latest, self.config.width_px, run.picture)
        self._rates = {camera: deque(maxlen=_RATES_KEPT) for camera in self._cameras}
        self._enter(DashboardState.LIVE)
        status = "FAILED"
        try:
            self._show(run)
            status = "FINISHED"
        finally:
            self._enter(DashboardState.SAVING)
            report = run.finish(status)
        self._show_tables(report.statistics, now=False)
        return report

    def _show(self, run: LiveRun) -> None:
        """Draw what is newest at a fixed rate, until the run is over or somebody stops it."""
        period_s = 1 / self.config.pictures_per_s
        numbers_at = next_at = time.monotonic()
        while not self._stop_asked.is_set():
            began = time.monotonic()
            if began >= numbers_at:
                numbers_at = began + _NUMBERS_EVERY_S
                self._show_numbers(run)
            jpeg = self._wall.jpeg_if_new(self._states, self.panel.blur_toggle.value)
            if jpeg is not None:
                self.panel.wall_image.value = jpeg
            drawn = time.monotonic()
            # Rests at least as long as it draws: where drawing is slow, the run needs the cores more.
            next_at = max(next_at + period_s, drawn + (drawn - began))
            if run.wait(next_at - drawn):
                return

    def _show_numbers(self, run: LiveRun) -> None:
        statistics, elapsed_s = run.statistics(), run.elapsed_s
        for camera, values in statistics["cameras"].items():
            self._states[camera] = values["state"]
            # Before that, the frames that a recording has ready at once would pass for a rate.
            if elapsed_s >= _NUMBERS_EVERY_S:
                self._rates[camera].append((elapsed_s, values["frames_per_s_now"]))
        told = f"{elapsed_s:.0f} s, {statistics['frames_per_s_now']:.0f} frames/s"
        if runtime := statistics["runtime"]:
            told += f", model in {runtime['name']}"
        self.panel.tell(self._state.value, told)
        self._show_tables(statistics, now=True)
        self.panel.plot_html.value = lines_plot(self._rates, "Frames a second", "/s")

    def _show_tables(self, statistics: Mapping[str, Any], now: bool) -> None:
        cameras, places = camera_table(statistics, now), place_table(statistics)
        self.panel.show_tables(cameras, places, stage_table(statistics), machine_line(statistics))

    def _draw_wall(self) -> None:
        self.panel.wall_image.value = self._wall.jpeg(self._states, self.panel.blur_toggle.value)
