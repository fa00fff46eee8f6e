"""What a run is steered with: buttons, the list of cameras, the settings of model and batches."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import ipywidgets as widgets

from toolkit.addresses import without_password
from toolkit.errors import ToolkitError
from toolkit.experiment import LiveConfig
from toolkit.models.checkpoint import SHIPPED
from toolkit.models.runtime import RUNTIMES

_WIDE = {"description_width": "170px"}
_IN_GRID = widgets.Layout(width="auto", margin="2px 8px 2px 0")
_MOST_CHECKPOINTS = 30


class Controls:
    """The widgets that ask for something, and what they ask for as plain values.

    Each has a class ``toolkit-...`` by which a style sheet finds it. Nothing happens here: who makes it
    listens to the buttons.

    Args:
        live: the settings to begin with.
    """

    def __init__(self, live: LiveConfig) -> None:
        self._shown: dict[str, Any] = {}
        self.start_button = _button("Start", "play", "success", "Begin a run, recorded in MLflow")
        self.stop_button = _button("Stop", "stop", "danger", "End the run and record it")
        self.blur_toggle = widgets.ToggleButton(
            value=True,
            description="Blur faces",
            icon="eye-slash",
            tooltip="On the wall; takes effect at once",
        )
        self.name_text = widgets.Text(
            placeholder="name, such as door", layout=widgets.Layout(width="180px"), tooltip="Of the camera"
        )
        self.address_text = widgets.Text(
            placeholder="file, folder, USB number, rtsp://..., http://..., scene:hall",
            layout=widgets.Layout(flex="1 1 260px", width="auto"),
            tooltip="Where its pictures come from",
        )
        self.add_button = _button("Add", "plus", "", "Open one more camera; the others go on")
        self.camera_menu = widgets.Dropdown(
            layout=widgets.Layout(width="180px"), tooltip="The camera to take away"
        )
        self.remove_button = _button("Remove", "minus", "", "Close this camera; the others go on")
        self.apply_button = _button("Apply", "check", "primary", "No frame is lost by it")
        self.apply_button.layout.align_self = "flex-start"
        self._settings = _setting_widgets()
        self.message_html = widgets.HTML()
        named = {
            "start": self.start_button,
            "stop": self.stop_button,
            "blur": self.blur_toggle,
            "add-name": self.name_text,
            "add-address": self.address_text,
            "add": self.add_button,
            "camera-menu": self.camera_menu,
            "remove": self.remove_button,
            "apply": self.apply_button,
            "message": self.message_html,
        }
        for name, widget in (named | {n.replace("_", "-"): w for n, w in self._settings.items()}).items():
            widget.add_class(f"toolkit-{name}")
        self.box = self._folded()
        self.show(live)

    def show(self, live: LiveConfig) -> None:
        """Show the settings that are in force."""
        if tuple(self.camera_menu.options) != tuple(live.cameras):
            self._offer(tuple(live.cameras))
        for name, value in _in_force(live).items():
            self._settings[name].value = value
        # A widget shows its limit in place of what is beyond it; that is no wish of anybody's.
        self._shown = {name: widget.value for name, widget in self._settings.items()}

    def asked(self) -> dict[str, Any]:
        """The settings that somebody has changed, by the names of :func:`with_settings`."""
        changed = {n: w.value for n, w in self._settings.items() if w.value != self._shown[n]}
        if "max_wait_ms" in changed:
            changed["max_wait_s"] = changed.pop("max_wait_ms") / 1000
        return changed

    def say(self, text: str, is_refused: bool = False) -> None:
        """Answer to what was asked for, below the settings."""
        colour = "#b3261e" if is_refused else "inherit"
        words = html.escape(without_password(text))
        self.message_html.value = f'<span style="color: {colour}">{words}</span>'

    def _offer(self, cameras: tuple[str, ...]) -> None:
        chosen = self.camera_menu.value
        # In one message: between two of them somebody may choose, and the second would take that back.
        with self.camera_menu.hold_sync():
            self.camera_menu.options = cameras
            self.camera_menu.index = None
            if cameras:
                self.camera_menu.value = chosen if chosen in cameras else cameras[0]

    def _folded(self) -> widgets.VBox:
        row = widgets.Layout(flex_flow="row wrap", align_items="center")
        grid = widgets.Layout(grid_template_columns="repeat(auto-fit, minmax(320px, 1fr))", width="100%")
        cameras = widgets.VBox(
            [
                widgets.Box([self.name_text, self.address_text, self.add_button], layout=row),
                widgets.Box([self.camera_menu, self.remove_button], layout=row),
            ]
        )
        settings = widgets.VBox(
            [widgets.GridBox(list(self._settings.values()), layout=grid), self.apply_button]
        )
        titles = ["Cameras: add and remove", "Model, batches and search"]
        folded = widgets.Accordion([cameras, settings], titles=titles, selected_index=None)
        folded.add_class("toolkit-steer")
        return widgets.VBox([folded, self.message_html])


class Steered(Protocol):
    """Whom the controls steer; see :class:`LiveDashboard`."""

    def start(self) -> None: ...

    def ask_to_stop(self) -> None: ...

    def change(self, **settings: Any) -> None: ...

    def add_camera(self, name: str, address: str | int) -> None: ...

    def remove_camera(self, name: str) -> None: ...


def connect(controls: Controls, board: Steered) -> None:
    """Have the buttons heard; what is refused is said below them.

    The kernel waits for what a click does, and clicks wait for a cell: all of ``board`` must return at once.
    """

    def on_add() -> None:
        board.add_camera(controls.name_text.value.strip(), controls.address_text.value.strip())
        controls.name_text.value = controls.address_text.value = ""

    def heard(act: Callable[[], None]) -> Callable[[object], None]:
        def on_click(button: object) -> None:
            try:
                act()
            except ToolkitError as error:
                controls.say(str(error), is_refused=True)

        return on_click

    controls.start_button.on_click(heard(board.start))
    controls.stop_button.on_click(heard(board.ask_to_stop))
    controls.add_button.on_click(heard(on_add))
    controls.remove_button.on_click(heard(lambda: board.remove_camera(controls.camera_menu.value)))
    controls.apply_button.on_click(heard(lambda: board.change(**controls.asked())))


def _setting_widgets() -> dict[str, Any]:
    look = {"style": _WIDE, "layout": _IN_GRID}
    return {
        "checkpoint": widgets.Combobox(
            description="model",
            options=_known_checkpoints(),
            tooltip="shipped, a .safetensors file, or an exported folder. It is loaded beside the run and "
            "takes over between two batches; persons keep the votes they have",
            **look,
        ),
        "runtime": widgets.Dropdown(
            description="runtime",
            options=RUNTIMES,
            tooltip="What runs the model; auto is the quickest",
            **look,
        ),
        "batch_size": widgets.BoundedIntText(
            description="batch size", min=1, max=4096, tooltip="Most faces in one call of the model", **look
        ),
        "max_wait_ms": widgets.BoundedFloatText(
            description="batch wait, ms",
            min=0,
            max=9999,
            step=1,
            tooltip="Longest wait of a face for others while the model has nothing to do",
            **look,
        ),
        "search_every": widgets.BoundedIntText(
            description="search every n-th frame",
            min=1,
            max=1000,
            tooltip="Faces are looked for in every n-th frame, and carried on in between",
            **look,
        ),
        "detect_every": widgets.BoundedIntText(
            description="n while short of time",
            min=1,
            max=1000,
            tooltip="While frames have to be skipped, faces are looked for in every n-th of the others",
            **look,
        ),
    }


def _in_force(live: LiveConfig) -> dict[str, Any]:
    street = live.pipeline
    return {
        "checkpoint": live.checkpoint,
        "runtime": live.runtime,
        "batch_size": street.batch_size,
        "max_wait_ms": round(street.max_wait_s * 1000, 3),
        "search_every": street.search_every,
        "detect_every": street.detect_every,
    }


def _known_checkpoints() -> list[str]:
    """The weights that come along, and the newest ones that were trained below this folder."""
    trained = sorted(Path("runs").glob("**/best.safetensors"), key=lambda path: -path.stat().st_mtime)
    return [SHIPPED, *map(str, trained[:_MOST_CHECKPOINTS])]


def _button(text: str, icon: str, style: str, tooltip: str) -> widgets.Button:
    layout = widgets.Layout(width="auto", min_width="90px")
    return widgets.Button(description=text, icon=icon, button_style=style, tooltip=tooltip, layout=layout)
