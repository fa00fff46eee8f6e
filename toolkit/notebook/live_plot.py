"""The plot of rates that moves with the run: SVG, at a hundredth of what a figure of matplotlib costs."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

from toolkit.notebook.figures import COLOURS

# In units of the drawing, which the browser scales; the lines' own area, without what is written around it.
_WIDTH, _HEIGHT = 560, 130
_LEFT, _TOP = 36, 8

Rates = Mapping[str, Sequence[tuple[float, float]]]
"""Camera to its points (seconds since the start, frames a second), oldest first."""


def rates_svg(
    rates: Rates,
    last_s: float = 30.0,
    label: str = "Frames a second of each camera",
    unit: str = "/s",
    least_top: float = 10.0,
) -> str:
    """Frames a second of each camera, or other lines, over the last ``last_s`` seconds, as SVG text.

    Text and grid take the colour of the page around them, so that it suits a dark one too. ``label`` is for
    those who cannot see it, ``unit`` stands behind the newest number of each line, and the axis ends at
    ``least_top`` or above.
    """
    newest_s = max((points[-1][0] for points in rates.values() if points), default=0.0)
    top = _round_up(max((rate for points in rates.values() for _, rate in points), default=0.0), least_top)
    parts = [_grid(top, last_s)]
    for number, (camera, points) in enumerate(rates.items()):
        colour = COLOURS[number % len(COLOURS)]
        at = [
            f"{_LEFT + _WIDTH * (1 - (newest_s - time_s) / last_s):.1f},{_y(rate, top):.1f}"
            for time_s, rate in points
            if newest_s - time_s <= last_s
        ]
        parts.append(f'<polyline points="{" ".join(at)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        name = html.escape(camera) + (f" {points[-1][1]:.1f}{unit}" if points else "")
        # Beside the lines, and not at their ends: cameras of the same rate would hide each other's names.
        x, y = _LEFT + _WIDTH + 14, _TOP + 12 + 16 * number
        parts.append(f'<text x="{x}" y="{y}" fill="{colour}" stroke="none">{name}</text>')
    size = f"0 0 {_LEFT + _WIDTH + 180} {max(_TOP + _HEIGHT + 22, _TOP + 12 + 16 * len(rates))}"
    style = "width: 100%; max-width: 800px; font: 12px sans-serif"
    look = f'aria-label="{html.escape(label)}" style="{style}" fill="currentColor"'
    opening = f'<svg viewBox="{size}" role="img" {look}>'
    return opening + "".join(parts) + "</svg>"


def _grid(top: float, last_s: float) -> str:
    below = _TOP + _HEIGHT + 16
    parts = []
    for share in (0.0, 0.5, 1.0):
        x, y = _LEFT + _WIDTH * share, _y(top * share, top)
        parts += [
            f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" stroke="currentColor" stroke-opacity="0.2"/>',
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * share:g}</text>',
            f'<text x="{x:.1f}" y="{below}" text-anchor="middle">{last_s * (share - 1):g} s</text>',
        ]
    return "".join(parts)


def _y(rate: float, top: float) -> float:
    return _TOP + _HEIGHT * (1 - rate / top)


def _round_up(rate: float, least_top: float) -> float:
    """The end of an axis that holds ``rate``: 10, 20, 30, 40, 60, 80, 100, ..."""
    power = 10 ** math.floor(math.log10(max(rate, 1.0)))
    steps = (1, 2, 3, 4, 6, 8, 10)
    return max(least_top, next(float(step * power) for step in steps if step * power >= rate))
