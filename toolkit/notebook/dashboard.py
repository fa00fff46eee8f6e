"""The dashboard: a live run, watched and steered from a notebook."""

from __future__ import annotations

import html
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pandas as pd
from IPython.display import Image, display

from toolkit.addresses import without_password
from toolkit.errors import ConfigError
from toolkit.experiment import Experiment
from toolkit.live.listeners import LatestResults
from toolkit.live_run import LiveReport, LiveRun, MakePipeline, make_pipeline
from toolkit.notebook.figures import as_png, rates_over_time
from toolkit.notebook.runs import camera_table
from toolkit.notebook.wall import Wall
from toolkit.tracking import DEFAULT_STORE, run_name

logger = logging.getLogger(__name__)

_TABLE_EVERY_S = 1.0
# Matplotlib takes a tenth of a second of a core for one figure.
_PLOT_EVERY_S = 2.0
_PLOT_SHOWS_S = 30.0


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


class LiveDashboard:
    """A wall of pictures, a table, a plot of rates, and buttons that start and stop live runs.

    Every start is a run of its own, recorded as ``toolkit live`` records one. A thread of the dashboard owns
    the run and draws from its newest results, so that neither a cell nor a slow browser holds the run up.
    Between runs no thread is alive and no camera open. ::

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
        self._wall = Wall(self._cameras, LatestResults(), self.config.width_px)
        self._stop_asked = threading.Event()
        self._changed = threading.Condition()
        self._state = DashboardState.NEW
        self._thread: threading.Thread | None = None
        self._build()

    @property
    def state(self) -> DashboardState:
        """What the run is doing now."""
        return self._state

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

    def snapshot(self, blur_faces: bool = True) -> Image:
        """The wall as a picture that stays in the notebook and in its HTML, where widgets are blank."""
        names = ", ".join(self._cameras)
        jpeg = self._wall.jpeg(self._states, blur_faces)
        return Image(jpeg, format="jpeg", alt=f"The newest picture of each camera: {names}")

    def __enter__(self) -> LiveDashboard:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ipython_display_(self) -> None:
        display(self.widget)

    def _build(self) -> None:
        """What is seen, top to bottom; the classes let style sheets and tests find each part."""
        self.start_button = widgets.Button(description="Start", icon="play", button_style="success")
        self.stop_button = widgets.Button(description="Stop", icon="stop", button_style="danger")
        self.blur_toggle = widgets.ToggleButton(value=True, description="Blur faces", icon="eye-slash")
        self.status_html = widgets.HTML()
        wide = widgets.Layout(width="100%", max_width=f"{self.config.width_px}px")
        self.wall_image = widgets.Image(format="jpeg", layout=wide)
        self.table_html = widgets.HTML()
        self.plot_image = widgets.Image(format="png")
        controls = [self.start_button, self.stop_button, self.blur_toggle, self.status_html]
        shown = [self.wall_image, self.table_html, self.plot_image]
        names = ("start", "stop", "blur", "status", "wall", "table", "plot")
        for name, widget in zip(names, controls + shown, strict=True):
            widget.add_class(f"toolkit-{name}")
        self.widget = widgets.VBox([widgets.HBox(controls), *shown])
        # A callback waits while a cell runs, and must not hold the kernel: these return at once.
        self.start_button.on_click(lambda _: self.start())
        self.stop_button.on_click(lambda _: self._stop_asked.set())
        self.blur_toggle.observe(lambda _: self._draw_wall(), "value")
        self._draw_wall()
        self._draw_plot([])
        self._enter(DashboardState.NEW)

    def _enter(self, state: DashboardState, text: str = "") -> None:
        with self._changed:
            self._state = state
            self.start_button.disabled = state not in _CAN_START
            self.stop_button.disabled = state is not DashboardState.LIVE
            self._tell(text)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self.report = self._run_once()
        except Exception as error:  # the outermost loop of the thread: kept, shown, and raised by watch()
            logger.exception("the dashboard's run failed")
            self.error = error
            self._enter(DashboardState.FAILED, without_password(str(error)))
        else:
            run_id = self.report.statistics["mlflow_run_id"]
            self._enter(
                DashboardState.OVER, f"MLflow run {run_id}" if run_id else "not in MLflow: see the log"
            )

    def _run_once(self) -> LiveReport:
        """Load, show until the end or until somebody stops it, save."""
        latest = LatestResults()
        out_dir = self._out_dir / run_name(self._experiment.name)
        run = LiveRun(self._experiment, out_dir, listeners=(latest,), make=self._make)
        run.start()
        self._wall = Wall(self._cameras, latest, self.config.width_px)
        self._enter(DashboardState.LIVE)
        status = "FAILED"
        try:
            self._show(run)
            status = "FINISHED"
        finally:
            self._enter(DashboardState.SAVING)
            report = run.finish(status)
        self._fill_table(report.statistics)
        return report

    def _show(self, run: LiveRun) -> None:
        """Draw what is newest at a fixed rate, until the run is over or somebody stops it."""
        period_s = 1 / self.config.pictures_per_s
        rates: deque[dict[str, Any]] = deque(
            maxlen=round(_PLOT_SHOWS_S / _TABLE_EVERY_S) * len(self._cameras)
        )
        table_at = plot_at = next_at = time.monotonic()
        while not self._stop_asked.is_set():
            began = time.monotonic()
            if began >= table_at:
                table_at = began + _TABLE_EVERY_S
                self._note(run, rates)
            if began >= plot_at:
                plot_at = began + _PLOT_EVERY_S
                self._draw_plot(rates)
            jpeg = self._wall.jpeg_if_new(self._states, self.blur_toggle.value)
            if jpeg is not None:
                self.wall_image.value = jpeg
            drawn = time.monotonic()
            # Rests at least as long as it draws: where drawing is slow, the run needs the cores more.
            next_at = max(next_at + period_s, drawn + (drawn - began))
            if run.wait(next_at - drawn):
                return

    def _note(self, run: LiveRun, rates: deque[dict[str, Any]]) -> None:
        statistics, elapsed_s = run.statistics(), run.elapsed_s
        cameras = statistics["cameras"]
        self._states = {camera: values["state"] for camera, values in cameras.items()}
        rates.extend(
            {"time_s": elapsed_s, "camera": camera, "frames_per_s": values["frames_per_s_now"]}
            for camera, values in cameras.items()
        )
        self._fill_table(statistics)
        self._tell(f"{elapsed_s:.0f} s, {statistics['frames_per_s_now']:.0f} frames/s")

    def _tell(self, text: str) -> None:
        self.status_html.value = f"<b>{self._state.value}</b> {html.escape(text)}"

    def _fill_table(self, statistics: dict[str, Any]) -> None:
        table = camera_table(statistics).to_html(border=0, float_format="{:.1f}".format, na_rep="-")
        # The class is JupyterLab's own, so that the table follows its theme.
        self.table_html.value = f'<div class="jp-RenderedHTMLCommon">{table}</div>'

    def _draw_wall(self) -> None:
        self.wall_image.value = self._wall.jpeg(self._states, self.blur_toggle.value)

    def _draw_plot(self, rates: Iterable[dict[str, Any]]) -> None:
        table = pd.DataFrame(list(rates), columns=["time_s", "camera", "frames_per_s"])
        self.plot_image.value = as_png(rates_over_time(table))
