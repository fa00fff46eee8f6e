"""A training in a notebook: its loss and its accuracy as they come, and a button that ends it."""

from __future__ import annotations

import html
import logging
import threading
import time
from pathlib import Path
from typing import Any
from weakref import WeakSet

import ipywidgets as widgets
from IPython.display import display
from matplotlib.figure import Figure

from toolkit.errors import ToolkitError
from toolkit.experiment import Experiment
from toolkit.notebook.figures import COLOURS
from toolkit.notebook.live_plot import lines_plot

_logger = logging.getLogger(__name__)

_SHOW_EVERY_S = 1.0
_STEPS_A_POINT = 10
"""A point of the loss is the mean of so many steps: single ones hide the line in noise."""

_SCORES = {"gender": "val/gender_accuracy", "age group": "val/age_group_accuracy"}

_panels: WeakSet[TrainingPanel] = WeakSet()
"""Those of this process that were started; whoever starts ends the others that write into its folder."""


class TrainingPanel:
    """A training that runs while the notebook goes on.

    A start ends the training of another panel that writes into the same folder, as when a notebook's cell is
    run again: the weights of the two would take turns in one file. ::

        panel = TrainingPanel(load_experiment("experiments/face-attributes.yaml"), "runs/mine")
        panel.start()
        panel

    Args:
        experiment: with a part ``train``.
        out_dir: where checkpoint and state go.
        resume: go on with the training that lies there.

    Attributes:
        result: what :func:`toolkit.learn_run.run_training` returned; None as long as it runs.
        error: why it failed, if it did.
    """

    def __init__(self, experiment: Experiment, out_dir: str | Path, resume: bool = False) -> None:
        self._experiment = experiment
        self._out_dir = Path(out_dir)
        self._resume = resume
        self.result: dict[str, Any] | None = None
        self.error: Exception | None = None
        self.epochs: list[dict[str, float]] = []
        self._losses: list[tuple[float, float]] = []
        self._scores: dict[str, list[tuple[float, float]]] = {name: [] for name in _SCORES}
        self._steps, self._sum, self._shown_at, self._started_at = 0, 0.0, 0.0, time.monotonic()
        self._is_to_stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._to_end_first: list[TrainingPanel] = []
        self._bar = widgets.FloatProgress(min=0.0, max=1.0)
        self._stop = widgets.Button(description="Stop", icon="stop", button_style="danger")
        self._stop.on_click(lambda _: self._is_to_stop.set())
        self._status, self._loss_html, self._score_html = (widgets.HTML() for _ in range(3))
        top = widgets.HBox([self._stop, self._bar, self._status])
        self.box = widgets.VBox([top, self._loss_html, self._score_html])

    def start(self) -> None:
        """Begin to train, and return at once; nothing happens when it was started before."""
        if self._thread is None:
            same = [other for other in _panels if other._out_dir.absolute() == self._out_dir.absolute()]
            self._to_end_first = [other for other in same if other is not self]
            _panels.add(self)
            self._thread = threading.Thread(target=self._train, name="training-panel", daemon=True)
            self._thread.start()

    def close(self, timeout_s: float | None = None) -> None:
        """Ask the training to end after its step, and wait; may be called twice, or without a start."""
        self._is_to_stop.set()
        self.wait(timeout_s)

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the end of the training: for notebooks that run by themselves."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def figure(self) -> Figure:
        """The same curves as a picture, for a report."""
        figure = Figure(figsize=(9, 3), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(*_columns(self._losses), color=COLOURS[0])
        left.set_ylabel("loss")
        left.set_title("Training", loc="left", fontsize="medium")
        for (name, points), colour in zip(self._scores.items(), COLOURS, strict=False):
            right.plot(*_columns(points), color=colour, label=name, marker=".")
        right.set_ylim(0, 103)
        right.set_ylabel("right on validation, %")
        right.set_title("Validation, after each epoch", loc="left", fontsize="medium")
        right.legend(frameon=False)
        for axes in (left, right):
            axes.set_xlabel("seconds since the start")
            axes.spines[["top", "right"]].set_visible(False)
        return figure

    def _ipython_display_(self) -> None:
        display(self.box)

    def _train(self) -> None:
        from toolkit.learn_run import run_training

        self._started_at = time.monotonic()
        self._tell("training", "loading torch and the data")
        for other in self._to_end_first:
            other.close()
        try:
            self.result = run_training(
                self._experiment, self._out_dir, self._on_progress, self._on_epoch, self._resume
            )
        except Exception as error:
            self.error = error
            self._tell("failed", str(error))
            if not isinstance(error, ToolkitError):
                _logger.exception("the training failed")
            return
        self._show()
        state = "stopped" if self.result["was_interrupted"] else "done"
        best = f"best epoch {self.result['best_epoch']}: {self.result['checkpoint']}"
        if self.result["checkpoint"] is None:
            best = "before its first epoch was over: no weights, and nothing to go on from"
        self._tell(state, best)

    def _on_progress(self, step: int, steps: int, values: dict[str, float]) -> None:
        # Its own: a training that is resumed begins in the middle.
        self._steps += 1
        self._sum += values["train/loss"]
        if self._steps % _STEPS_A_POINT == 0:
            self._losses.append((self._elapsed_s(), self._sum / _STEPS_A_POINT))
            self._sum = 0.0
        if time.monotonic() - self._shown_at >= _SHOW_EVERY_S:
            self._shown_at = time.monotonic()
            self._bar.value = step / steps
            left_s = self._elapsed_s() * (steps - step) / self._steps
            self._tell("training", f"step {step} of {steps}, {left_s:.0f} s left")
            self._show()
        if self._is_to_stop.is_set():
            # What Ctrl-C raises in a shell: the training ends and returns what there is.
            raise KeyboardInterrupt

    def _on_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        self.epochs.append(metrics)
        for name, key in _SCORES.items():
            if key in metrics:
                self._scores[name].append((self._elapsed_s(), 100 * metrics[key]))

    def _show(self) -> None:
        last_s = max(self._elapsed_s(), 1.0)
        self._loss_html.value = lines_plot({"loss": self._losses}, "Loss", "", last_s, 1.0)
        self._score_html.value = lines_plot(self._scores, "Right on validation, percent", " %", last_s)

    def _tell(self, state: str, text: str) -> None:
        self._status.value = f"<b>{html.escape(state)}</b> {html.escape(text)}"

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_at


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
