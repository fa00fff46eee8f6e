"""``toolkit doctor``: what this machine has, and how to get what is missing."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from toolkit.terminal import err, json_option, out, plain, write_json

_STYLES = {"ok": "green", "optional": "dim", "missing": "bold red"}


@click.command()
@json_option
def doctor(json_path: Path | None) -> None:
    """What this machine has, from its cores to the browser's widgets, and how to get what is missing.

    Nothing is downloaded, started or changed. "optional" is not there and not needed. Exit code 1 if anything
    is "missing", without which something fails.
    """
    with err.status("looking"):
        from toolkit.doctor import examine

        findings = examine()
    table = Table("what", "", box=SIMPLE_HEAD)
    for title in ("found", "what to do"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        style = _STYLES[finding.state]
        table.add_row(
            plain(finding.what),
            f"[{style}]{finding.state}[/{style}]",
            plain(finding.found),
            plain(finding.cure),
        )
    out.print(table)
    missing = [finding.what for finding in findings if finding.state == "missing"]
    out.print(f"missing: {', '.join(missing)}" if missing else "nothing that is needed is missing")
    write_json(json_path, {"missing": missing, "findings": [asdict(finding) for finding in findings]})
    sys.exit(1 if missing else 0)
