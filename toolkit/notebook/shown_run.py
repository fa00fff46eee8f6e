"""One run of a dashboard: loaded, drawn, steered, and ended when nobody looks any more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ConfigError
from toolkit.experiment import Experiment, LiveConfig
from toolkit.live_parts import MakePipeline, MakePredictor
from toolkit.live_run import LiveReport, LiveRun
from toolkit.notebook.audience import Audience
from toolkit.notebook.panel import Panel
from toolkit.notebook.screen import Screen, show_tables
from toolkit.notebook.steersman import Change, Steersman
from toolkit.notebook.trends import WatchedResults

logger = logging.getLogger(__name__)

_AUDIENCE_EVERY_S = 1.0

_REST_AFTER_A_FAILURE_S = 0.5


@dataclass(frozen=True)
class DashboardConfig:
    """How much a browser is given to show, and how long a run goes on that nobody sees.

    Attributes:
        width_px: of the wall.
        pictures_per_s: most pictures of the wall a second; a browser cannot tell that it falls behind, so
            the rate is fixed, and 12 of this width were shown without delay.
        unseen_s: a run ends when the page that showed it has been closed for so long; None lets it go on. A
            run that was never shown in a page, as by nbconvert, goes on anyway.
    """

    width_px: int = 1280
    pictures_per_s: float = 12.0
    unseen_s: float | None = 60.0

    def __post_init__(self) -> None:
        if not 160 <= self.width_px <= 1280:
            raise ConfigError(f"width_px must lie between 160 and 1280, got {self.width_px}")
        if not 0 < self.pictures_per_s <= 30:
            raise ConfigError(f"pictures_per_s must lie between 0 and 30, got {self.pictures_per_s}")
        if self.unseen_s is not None and not self.unseen_s > 0:
            raise ConfigError(f"unseen_s must be more than 0, or None for ever, got {self.unseen_s}")


class ShownRun:
    """A live run with its screen and its steersman; made, it runs.

    Args:
        experiment: has a part ``live``.
        out_dir: for its sample pictures.
        panel: where it is drawn.
        config: see :class:`DashboardConfig`.
        make: see :func:`make_pipeline`.
        load: see :func:`make_predictor`.

    Raises:
        ToolkitError: it cannot be started.
    """

    def __init__(
        self,
        experiment: Experiment,
        out_dir: Path,
        panel: Panel,
        config: DashboardConfig,
        make: MakePipeline,
        load: MakePredictor,
    ) -> None:
        results = WatchedResults()
        self._run = LiveRun(experiment, out_dir, listeners=(results,), make=make, load=load)
        self._run.start()
        self._panel = panel
        self._drawing_error: Exception | None = None
        self.screen = Screen(self._run, results, panel, config.width_px, config.pictures_per_s)
        self._steersman = Steersman(self._run, self._on_changed)

    @property
    def live(self) -> LiveConfig:
        """The settings in force."""
        return self._run.live

    def show(self, stop_asked: threading.Event, audience: Audience) -> None:
        """Draw until the run is over, somebody stops it, or the page that showed it is closed."""
        audience_at = 0.0
        while not stop_asked.is_set():
            rest_s = _REST_AFTER_A_FAILURE_S
            with self._going_on():
                rest_s = self.screen.draw()
            if self._run.elapsed_s >= audience_at:
                audience_at = self._run.elapsed_s + _AUDIENCE_EVERY_S
                if audience.is_gone():
                    logger.warning("the page that showed the run is closed: the run ends")
                    return
            if self._run.wait(rest_s):
                return

    def ask(self, change: Change) -> None:
        """Have the settings changed beside the run; returns at once."""
        self._panel.controls.say("one moment: this is being changed beside the run")
        self._steersman.ask(change)

    def finish(self, status: str) -> LiveReport:
        """End it, record it, and show its last numbers; ``status`` is a word of MLflow."""
        self._steersman.let_go()
        report = self._run.finish(status)
        self._steersman.join()
        self.screen.states = {name: values["state"] for name, values in report.statistics["cameras"].items()}
        with self._going_on():
            show_tables(self._panel, report.statistics, now=False)
        return report

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """What cannot be drawn, as the words of a user's own model, ends no run; it is told once."""
        try:
            yield
        except Exception as error:
            if self._drawing_error is None:
                logger.exception("the dashboard cannot be drawn; the run goes on")
            self._drawing_error = error

    def _on_changed(self, refused: str) -> None:
        self._panel.controls.show(self.live)
        self._panel.controls.say(refused or "done", is_refused=bool(refused))
        self._panel.show_events(self._run.events.events())
