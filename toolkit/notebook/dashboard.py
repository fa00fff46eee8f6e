"""The dashboard: a live run, watched and steered from a notebook."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

from IPython.display import display

from toolkit.addresses import without_password
from toolkit.errors import ConfigError, ToolkitError
from toolkit.experiment import Experiment, LiveConfig
from toolkit.live.listeners import LatestResults
from toolkit.live.zones import LineConfig, ZoneConfig
from toolkit.live_changes import with_camera, with_settings, without_camera
from toolkit.live_parts import MakePipeline, MakePredictor, make_pipeline, make_predictor
from toolkit.live_run import LiveReport
from toolkit.notebook.audience import Audience
from toolkit.notebook.controls import connect
from toolkit.notebook.described import DescribedImage
from toolkit.notebook.panel import Panel
from toolkit.notebook.screen import Screen
from toolkit.notebook.shown_run import DashboardConfig, ShownRun
from toolkit.notebook.state import CAN_START, DashboardState
from toolkit.notebook.steersman import Change
from toolkit.notebook.wall import Wall
from toolkit.tracking import DEFAULT_STORE, run_name

logger = logging.getLogger(__name__)

_IS_OVER = (DashboardState.CLOSED, *CAN_START)
"""No run is on; one that is closed never leaves that state."""

_dashboards: WeakSet[LiveDashboard] = WeakSet()
"""Those of this process; whoever starts ends the others' runs."""


class LiveDashboard:
    """A wall of pictures, tables and plots, and controls that start, stop and change live runs.

    Every start is a run of its own, recorded as ``toolkit live`` records one. A thread of the dashboard owns
    the run and draws from its newest results, so that neither a cell nor a slow browser holds the run up.
    Between runs no thread is alive and no camera open. One dashboard of a process runs at a time: a start
    ends the run of another one, as when a notebook's cell is run again; so does closing the page, and the end
    or the restart of the kernel. ::

        dashboard = LiveDashboard(experiment)
        dashboard.start()
        dashboard

    Args:
        experiment: must have a part ``live``.
        out_dir: each run leaves its sample pictures in a folder of its own below it.
        config: see :class:`DashboardConfig`.
        make: stands in for :func:`make_pipeline`.
        load: stands in for :func:`make_predictor`.

    Attributes:
        report: of the run that ended last; None before, and while one is on.
        error: why the last run failed, if it did.

    Raises:
        ConfigError: the experiment has no part ``live``.
    """

    def __init__(
        self,
        experiment: Experiment,
        out_dir: Path = DEFAULT_STORE / "live",
        config: DashboardConfig | None = None,
        make: MakePipeline = make_pipeline,
        load: MakePredictor = make_predictor,
    ) -> None:
        if experiment.live is None:
            raise ConfigError(f"experiment {experiment.name!r} has no part 'live': live: {{cameras: ...}}")
        self.config = config or DashboardConfig()
        self.report: LiveReport | None = None
        self.error: Exception | None = None
        self._experiment = experiment
        self._live = experiment.live
        self._out_dir = out_dir
        self._make, self._load = make, load
        self._wall = Wall(self._live.cameras, LatestResults(), self.config.width_px)
        self._screen: Screen | None = None
        self._stop_asked = threading.Event()
        self._changed = threading.Condition()
        self._state = DashboardState.NEW
        self._thread: threading.Thread | None = None
        self._shown: ShownRun | None = None
        self._to_end_first: list[LiveDashboard] = []
        self._audience = Audience(self.config.unseen_s)
        self.panel = Panel(self._live, self.config.width_px, self._audience.widget)
        connect(self.panel.controls, self)
        self.panel.controls.blur_toggle.observe(lambda _: self._draw_wall(), "value")
        self._draw_wall()
        self._enter(DashboardState.NEW)
        _dashboards.add(self)

    @property
    def state(self) -> DashboardState:
        """What the run is doing now."""
        return self._state

    @property
    def live(self) -> LiveConfig:
        """The settings in force, or of the next run."""
        shown = self._shown
        return self._live if shown is None else shown.live

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
            if self._state not in CAN_START:
                return
            self._stop_asked.clear()
            # Those that run now, and none that starts later and waits for this one.
            self._to_end_first = [
                other for other in list(_dashboards) if other.is_running and other is not self
            ]
            self.report = self.error = None
            self._enter(DashboardState.LOADING)
            # Anew each time: the channels to the page end in the same way, and must not do so before.
            atexit.unregister(_end_all)
            atexit.register(_end_all)
            self._thread = threading.Thread(target=self._run, name="dashboard", daemon=True)
            self._thread.start()

    def watch(self, seconds: float | None = None) -> None:
        """Wait until the run has been live for ``seconds``, or is over; buttons pressed meanwhile act later.

        Interrupting it (the kernel's ■, Ctrl-C) ends the run as :meth:`stop` does.

        Raises:
            ToolkitError: the run has failed; this is its error.
        """
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._state in (DashboardState.LIVE, *_IS_OVER))
                self._changed.wait_for(lambda: self._state in _IS_OVER, seconds)
        except KeyboardInterrupt:
            self.stop()
            raise
        if self.error is not None:
            raise self.error

    def change(self, **settings: Any) -> None:
        """Change settings of the model or the street, such as ``batch_size=8`` or ``runtime="torch"``.

        A run that is on goes on with them: this returns at once, and :meth:`LiveRun.change` is done beside
        the run; whether it was told by the events. Otherwise the next run begins with them.

        Raises:
            ConfigError: there is no such setting, the value makes no sense, or the dashboard is closed.
        """
        self._ask(partial(with_settings, **settings))

    def add_camera(
        self,
        name: str,
        address: str | int,
        zones: Mapping[str, ZoneConfig] | None = None,
        lines: Mapping[str, LineConfig] | None = None,
    ) -> None:
        """Open one more camera, and count in its zones and at its lines; as :meth:`change` does it.

        Raises:
            ConfigError: the name is taken or no name.
        """
        self._ask(lambda live: with_camera(live, name, address, zones, lines))

    def remove_camera(self, name: str) -> None:
        """Close a camera; as :meth:`change` does it.

        Raises:
            ConfigError: there is no such camera, or it is the last one.
        """
        self._ask(lambda live: without_camera(live, name))

    def ask_to_stop(self) -> None:
        """Begin to end the run, and return at once."""
        self._stop_asked.set()

    def stop(self, timeout_s: float = 60.0) -> bool:
        """End the run and wait until it is recorded; may be called twice, or without a start.

        Returns:
            False when something is stuck beyond ``timeout_s``; the log names it.
        """
        self.ask_to_stop()
        thread = self._thread
        if thread is None:
            return True
        with self._changed:
            # Not the thread's join: until Python 3.13 one whose join was interrupted counts as ended.
            is_over = self._changed.wait_for(lambda: self._state in _IS_OVER, timeout_s)
        if not is_over:
            logger.error("the dashboard's run is still %s %.0f s after stop", self._state.value, timeout_s)
            return False
        thread.join(timeout_s)
        return not thread.is_alive()

    def close(self) -> None:
        """Stop for good; what was shown last stays to be seen."""
        self.stop()
        with self._changed:
            self._enter(DashboardState.CLOSED)

    def snapshot(self, blur_faces: bool = True) -> DescribedImage:
        """The wall as a picture that stays in the notebook and in its HTML, where widgets are blank."""
        words = f"The newest picture of each camera: {', '.join(self.live.cameras)}"
        return DescribedImage(self._newest_wall(blur_faces), "jpeg", words)

    def __enter__(self) -> LiveDashboard:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ipython_display_(self) -> None:
        display(self.panel.box)

    def _ask(self, change: Change) -> None:
        with self._changed:
            if self._state is DashboardState.CLOSED:
                raise ConfigError("this dashboard is closed; make a new one")
            # Told at once where it makes no sense.
            wanted = change(self.live)
            if self._shown is not None:
                self._shown.ask(change)
                return
            if self._state in (DashboardState.LOADING, DashboardState.SAVING):
                raise ConfigError(f"the run is {self._state.value}: change it a moment later")
            self._live = wanted
        self.panel.controls.show(wanted)
        self.panel.controls.say("the next run begins with this")
        self._draw_wall()

    def _enter(self, state: DashboardState, text: str = "") -> None:
        with self._changed:
            self._state = state
            self.panel.controls.start_button.disabled = state not in CAN_START
            self.panel.controls.stop_button.disabled = state is not DashboardState.LIVE
            self.panel.tell(state, text)
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
            told = f"MLflow run {run_id}" if run_id else "not in MLflow: see the log"
            self._enter(DashboardState.OVER, told)

    def _run_once(self) -> LiveReport:
        """Load, show until the end or until somebody stops it, save."""
        for other in self._to_end_first:
            # Two runs would share the cores, and a USB camera can be opened only once.
            other.stop()
        experiment = replace(self._experiment, live=self._live)
        out_dir = self._out_dir / run_name(experiment.name)
        shown = ShownRun(experiment, out_dir, self.panel, self.config, self._make, self._load)
        self._screen = shown.screen
        with self._changed:
            self._shown = shown
            self._enter(DashboardState.LIVE)
        status = "FAILED"
        try:
            shown.show(self._stop_asked, self._audience)
            status = "FINISHED"
        finally:
            with self._changed:
                self._shown, self._live = None, shown.live
                self._enter(DashboardState.SAVING)
            report = shown.finish(status)
        return report

    def _draw_wall(self) -> None:
        self.panel.wall_image.value = self._newest_wall(self.panel.controls.blur_toggle.value)

    def _newest_wall(self, blur_faces: bool) -> bytes:
        """JPEG bytes: of the run, or of the last one, with the cameras there are now."""
        wall, states = (self._wall, {}) if self._screen is None else (self._screen.wall, self._screen.states)
        if self._shown is None and wall.cameras != list(self._live.cameras):
            wall.show(self._live.cameras)
        return wall.jpeg(states, blur_faces)


def _end_all() -> None:
    """A kernel that is restarted or shut down ends its run, which would stay RUNNING in MLflow."""
    for board in list(_dashboards):
        board.stop()
