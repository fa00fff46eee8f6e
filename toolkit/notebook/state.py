"""What a dashboard's run is doing, in words and in colours."""

from __future__ import annotations

import html
from enum import Enum

_GREEN, _BLUE, _ORANGE, _RED, _GREY = "#1b7f3b", "#0b63a5", "#a35200", "#b3261e", "#5f6368"
"""Dark enough for white text upon them, and to be read on white."""


class DashboardState(Enum):
    """What the dashboard's run is doing."""

    NEW = "not started"
    LOADING = "loading detector, model and MLflow"
    LIVE = "live"
    SAVING = "saving"
    OVER = "over"
    FAILED = "failed"
    CLOSED = "closed"


CAN_START = (DashboardState.NEW, DashboardState.OVER, DashboardState.FAILED)

_OF_RUN = {
    DashboardState.LOADING: _BLUE,
    DashboardState.LIVE: _GREEN,
    DashboardState.SAVING: _BLUE,
    DashboardState.FAILED: _RED,
}

_OF_CAMERA = {
    "live": _GREEN,
    "connecting": _BLUE,
    "stalled": _ORANGE,
    "retrying": _ORANGE,
    "failed": _RED,
}

_OF_EVENT = {"lost": _ORANGE, "back": _GREEN, "over": _GREY, "changed": _BLUE, "refused": _RED}


def chip(state: DashboardState) -> str:
    """The state on a ground of its colour, as HTML."""
    return _chip(state.value, _OF_RUN.get(state, _GREY))


def event_chip(kind: str) -> str:
    """The kind of an event on a ground of its colour, as HTML."""
    return _chip(kind, _OF_EVENT[kind])


def state_style(column: str, value: object) -> str:
    """CSS for a cell of a table: that of a camera's state has the state's colour."""
    if column != "state":
        return ""
    return f"color: {_OF_CAMERA.get(str(value), _GREY)}; font-weight: bold"


def _chip(text: str, colour: str) -> str:
    look = f"background: {colour}; color: white; border-radius: 8px; padding: 1px 8px; white-space: nowrap"
    return f'<b style="{look}">{html.escape(text)}</b>'
