"""The figures of a bench as tables for people."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text


def case_table(case: dict[str, Any]) -> Table:
    """One case of a bench (:func:`toolkit.bench.rounds.summary`): ours, the limits and the peers."""
    latencies = case["figure"] == "p50_ms"
    table = Table(title=case["title"], title_justify="left", box=SIMPLE_HEAD)
    table.add_column("contender", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for title in ("p50", "p99") if latencies else (case["unit"],):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("lowest .. highest", justify="right", no_wrap=True)
    table.add_column("")
    for name, told in case["contenders"].items():
        # As it is: in 'toolkit[peers]' rich would see a style.
        why = Text(told.get("missing") or told.get("error") or "")
        table.add_row(name, told["kind"], *_cells(told, case["figure"]), why)
    return table


def ratio_line(case: dict[str, Any]) -> str:
    """The best of ours held against the best peer and the limit; empty where there is neither."""
    ratios = case["ratios"]
    parts = [
        f"{ratios[key]:.2f} of {other}'s{' p99' if key.startswith('p99') else ''}"
        for key, other in (
            ("vs_best_peer", f"the best peer {ratios['best_peer']}"),
            ("p99_vs_best_peer", f"the best peer {ratios['best_peer']}"),
            ("vs_limit", f"the limit {ratios['limit']}"),
            ("p99_vs_limit", f"the limit {ratios['limit']}"),
        )
        if ratios.get(key) is not None
    ]
    return f"{ratios['ours']}: {', '.join(parts)}" if parts else ""


def _cells(told: dict[str, Any], figure: str) -> list[str]:
    latencies = figure == "p50_ms"
    if "spread" not in told:
        return [""] * (3 if latencies else 2)
    form = "{:,.0f}".format if figure == "rate_per_s" else "{:.2f}".format
    figures = [told["p50_ms"], told["p99_ms"]] if latencies else [told[figure]]
    return [*map(form, figures), " .. ".join(map(form, told["spread"]))]
