"""The dashboard's face: its buttons, its wall, its table and its plot."""

from __future__ import annotations

import html

import ipywidgets as widgets
import pandas as pd

from toolkit.notebook.html_table import table_as_html


class Panel:
    """The widgets, top to bottom; each has a class ``toolkit-...`` by which a style sheet finds it.

    Args:
        width_px: widest the wall is shown.
    """

    def __init__(self, width_px: int) -> None:
        self.start_button = widgets.Button(description="Start", icon="play", button_style="success")
        self.stop_button = widgets.Button(description="Stop", icon="stop", button_style="danger")
        self.blur_toggle = widgets.ToggleButton(value=True, description="Blur faces", icon="eye-slash")
        self.status_html = widgets.HTML()
        wide = widgets.Layout(width="100%", max_width=f"{width_px}px")
        self.wall_image = widgets.Image(format="jpeg", layout=wide)
        self.table_html = widgets.HTML()
        self.plot_html = widgets.HTML()
        self.places_html = widgets.HTML()
        self.machine_html = widgets.HTML()
        self.stages_html = widgets.HTML()
        controls = [self.start_button, self.stop_button, self.blur_toggle, self.status_html]
        shown = [self.wall_image, self.table_html, self.places_html, self.plot_html, self.machine_html]
        names = ("start", "stop", "blur", "status", "wall", "table", "places", "plot", "machine")
        for name, widget in zip(names, controls + shown, strict=True):
            widget.add_class(f"toolkit-{name}")
        folded = widgets.Accordion([self.stages_html], titles=["Where the time goes"], layout=wide)
        folded.add_class("toolkit-stages")
        self.box = widgets.VBox([widgets.HBox(controls), *shown, folded])

    def tell(self, state: str, text: str = "") -> None:
        """Say what the run is doing, beside the buttons."""
        self.status_html.value = f"<b>{html.escape(state)}</b> {html.escape(text)}"

    def show_tables(
        self, cameras: pd.DataFrame, places: pd.DataFrame, stages: pd.DataFrame, machine: str
    ) -> None:
        """Show the tables; that of places only where there are some."""
        self.table_html.value = table_as_html(cameras)
        self.places_html.value = table_as_html(places) if len(places) else ""
        self.machine_html.value = html.escape(machine)
        self.stages_html.value = table_as_html(stages)
