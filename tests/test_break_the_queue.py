"""The script that breaks the queue: its short form needs no root, and finds nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "experiments" / "break_the_queue.py"


def test_a_short_run_accounts_for_every_task(tmp_path):
    command = [
        sys.executable,
        str(SCRIPT),
        "--tasks",
        "300",
        "--task-ms",
        "15",
        "--json",
        str(tmp_path / "out.json"),
    ]
    cases = ("worker killed every second", "results that cannot travel")
    only = [word for case in cases for word in ("--only", case)]
    done = subprocess.run([*command, *only], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    killed, failing = (json.loads((tmp_path / "out.json").read_text())[case] for case in cases)
    assert killed["times_broken"] >= 1
    assert killed["done"] + killed["dead"] == 300
    assert (failing["done"], failing["dead"], failing["run_again"]) == (295, 5, 0)
    assert [result["lost"] + result["never_run"] for result in (killed, failing)] == [0, 0]
    assert killed["left_behind"] == failing["left_behind"] == []
