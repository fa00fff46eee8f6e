"""Plots that move with a run: SVG, at a hundredth of what a figure of matplotlib costs."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence

from toolkit.notebook.figures import COLOURS

# In units of the drawing, which the browser scales; the lines' own area, without what is written around it.
_WIDTH, _HEIGHT = 376, 104
_LEFT, _TOP = 38, 8

Lines = Mapping[str, Sequence[tuple[float, float]]]
"""Name to its points (seconds since the start, value), oldest first."""

# Sixteen cameras have more lines than there are colours to be told apart: the second round is dashed.
_DASHES = (("", "solid"), ("6 3", "dashed"), ("2 2", "dotted"))


def lines_plot(
    lines: Lines, title: str, unit: str = "", last_s: float = 30.0, least_top: float = 10.0
) -> str:
    """Lines over the last ``last_s`` seconds as HTML: a title, the drawing, and the newest value of each.

    Text and grid take the colour of the page around them, so that it suits a dark one too. ``unit`` stands
    behind the values, and the axis ends at ``least_top`` or above.
    """
    newest_s = max((points[-1][0] for points in lines.values() if points), default=0.0)
    shown = {
        name: [
            (_x(time_s - newest_s, last_s), value) for time_s, value in points if newest_s - time_s <= last_s
        ]
        for name, points in lines.items()
    }
    top = _round_up(max((value for points in shown.values() for _, value in points), default=0.0), least_top)
    parts = [_grid(top), _times(last_s)]
    for number, points in enumerate(shown.values()):
        at = " ".join(f"{x:.1f},{_y(value, top):.1f}" for x, value in points)
        dash = _DASHES[number // len(COLOURS) % len(_DASHES)][0]
        look = f'stroke="{_colour(number)}" stroke-width="2" stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{at}" fill="none" {look}/>')
    newest = {name: f"{_short(points[-1][1])}{unit}" if points else "" for name, points in shown.items()}
    return _figure(title, parts, [_entry(n, *of_one) for n, of_one in enumerate(newest.items())])


def bars_plot(bars: Mapping[str, float], title: str, unit: str = "") -> str:
    """Bars side by side as HTML, each with its name below and its value above it."""
    # Room for the numbers above the bars.
    top = _round_up(1.15 * max(bars.values(), default=0.0), 4.0)
    step = _WIDTH / max(len(bars), 8)
    parts = [_grid(top)]
    for number, (name, value) in enumerate(bars.items()):
        left, upper = _LEFT + step * (number + 0.15), _y(value, top)
        middle = left + step * 0.35
        parts += [
            f'<rect x="{left:.1f}" y="{upper:.1f}" width="{step * 0.7:.1f}" '
            f'height="{_y(0, top) - upper:.1f}" fill="{COLOURS[0]}"/>',
            _text(middle, _TOP + _HEIGHT + 15, name),
        ]
        if value:
            parts.append(_text(middle, upper - 3, f"{_short(value)}{unit}"))
    return _figure(title, parts, [] if bars else ["<span>none yet</span>"])


def side_by_side(plots: Iterable[str]) -> str:
    """Plots in as many columns as the page has room for."""
    columns = "repeat(auto-fit, minmax(330px, 1fr))"
    return (
        f'<div style="display: grid; grid-template-columns: {columns}; gap: 4px 20px">{"".join(plots)}</div>'
    )


def _figure(title: str, parts: Iterable[str], legend: Iterable[str]) -> str:
    size = f"0 0 {_LEFT + _WIDTH + 6} {_TOP + _HEIGHT + 20}"
    name = html.escape(title)
    return (
        '<figure style="margin: 0 0 8px; max-width: 560px; font-size: 12px; line-height: 1.4">'
        f"<figcaption><b>{name}</b></figcaption>"
        f'<svg viewBox="{size}" role="img" aria-label="{name}" style="width: 100%; font: 11px sans-serif" '
        f'fill="currentColor">{"".join(parts)}</svg>'
        f'<div style="display: flex; flex-wrap: wrap; gap: 0 14px">{"".join(legend)}</div></figure>'
    )


def _entry(number: int, name: str, value: str) -> str:
    """A line of the legend: a piece of the line itself, its name, its newest value."""
    style = _DASHES[number // len(COLOURS) % len(_DASHES)][1]
    piece = f"display: inline-block; width: 18px; border-top: 3px {style} {_colour(number)}"
    return (
        f'<span style="white-space: nowrap"><span style="{piece}; margin-bottom: 3px"></span> '
        f"{html.escape(name)} {html.escape(value)}</span>"
    )


def _grid(top: float) -> str:
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = _y(top * share, top)
        parts += [
            f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" stroke="currentColor" stroke-opacity="0.2"/>',
            f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{top * share:g}</text>',
        ]
    return "".join(parts)


def _times(last_s: float) -> str:
    ends = ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    below = _TOP + _HEIGHT + 15
    return "".join(
        _text(_LEFT + _WIDTH * share, below, "now" if share == 1 else f"{last_s * (share - 1):g} s", anchor)
        for share, anchor in ends
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == round(value) else f"{value:.1f}"


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _x(ago_s: float, last_s: float) -> float:
    return _LEFT + _WIDTH * (1 + ago_s / last_s)


def _y(value: float, top: float) -> float:
    return _TOP + _HEIGHT * (1 - value / top)


def _round_up(value: float, least_top: float) -> float:
    """The end of an axis that holds ``value``: 10, 20, 30, 40, 60, 80, 100, ..."""
    power = 10 ** math.floor(math.log10(max(value, 1.0)))
    steps = (1, 2, 3, 4, 6, 8, 10)
    return max(least_top, next(float(step * power) for step in steps if step * power >= value))
