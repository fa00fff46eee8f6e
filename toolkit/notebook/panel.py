"""The dashboard's face: controls, wall, tables, plots and events, top to bottom."""

from __future__ import annotations

import html
from collections.abc import Sequence

import ipywidgets as widgets
import pandas as pd

from toolkit.experiment import LiveConfig
from toolkit.live.events import Event
from toolkit.notebook.controls import Controls
from toolkit.notebook.html_table import table_as_html
from toolkit.notebook.state import DashboardState, chip, event_chip, state_style

_EVENTS_SHOWN = 8


class Panel:
    """The widgets, each with a class ``toolkit-...`` by which a style sheet finds it.

    Args:
        live: the settings to begin with.
        width_px: widest it is shown.
        beat: a hidden widget that lives in the same page.
    """

    def __init__(self, live: LiveConfig, width_px: int, beat: widgets.Widget) -> None:
        self.controls = Controls(live)
        self.status_html = widgets.HTML(layout=widgets.Layout(flex="1 1 200px"))
        wide = widgets.Layout(width="100%", max_width=f"{width_px}px")
        self.wall_image = widgets.Image(format="jpeg", layout=wide)
        self.table_html = widgets.HTML(layout=wide)
        self.places_html = widgets.HTML(layout=wide)
        self.plots_html = widgets.HTML(layout=wide)
        self.events_html = widgets.HTML(layout=wide)
        self.machine_html = widgets.HTML(layout=wide)
        self.stages_html = widgets.HTML()
        shown = {
            "status": self.status_html,
            "wall": self.wall_image,
            "table": self.table_html,
            "places": self.places_html,
            "plots": self.plots_html,
            "events": self.events_html,
            "machine": self.machine_html,
        }
        for name, widget in shown.items():
            widget.add_class(f"toolkit-{name}")
        folded = widgets.Accordion([self.stages_html], titles=["Where the time goes"], layout=wide)
        folded.add_class("toolkit-stages")
        asking = self.controls
        buttons = [asking.start_button, asking.stop_button, asking.blur_toggle, self.status_html]
        row = widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 4px", width="100%")
        below = [widget for name, widget in shown.items() if name != "status"]
        self.box = widgets.VBox([widgets.Box(buttons, layout=row), asking.box, *below, folded, beat])
        self.box.layout.max_width = f"{width_px}px"
        self.show_events([])

    def tell(self, state: DashboardState, text: str = "") -> None:
        """Say what the run is doing, beside the buttons."""
        self.status_html.value = f"{chip(state)} {html.escape(text)}"

    def show_tables(
        self, cameras: pd.DataFrame, places: pd.DataFrame, stages: pd.DataFrame, machine: str
    ) -> None:
        """Show the tables; that of places only where there are some."""
        self.table_html.value = table_as_html(cameras, state_style)
        self.places_html.value = table_as_html(places) if len(places) else ""
        self.machine_html.value = html.escape(machine)
        self.stages_html.value = table_as_html(stages)

    def show_events(self, events: Sequence[Event]) -> None:
        """Show the newest events, the newest first."""
        rows = [
            f'<div style="overflow-wrap: anywhere"><span style="display: inline-block; width: 64px">'
            f"{event.time_s:.1f} s</span>{event_chip(event.kind)} {html.escape(event.text)}</div>"
            for event in reversed(events[-_EVENTS_SHOWN:])
        ]
        nothing = (
            '<div style="opacity: 0.7">none yet: cameras that are lost or back, and changed settings</div>'
        )
        self.events_html.value = (
            f'<div style="line-height: 1.7"><b>Events</b>{"".join(rows) or nothing}</div>'
        )
