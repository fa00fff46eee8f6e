"""How many pictures a second of each camera a browser shows: JupyterLab and Chromium on this machine.

    python experiments/rate_of_tiles.py --cameras 16 --seconds 10

The live notebook with N cameras of 320x180 pixels and 15 pictures a second, which cost the run little: what
is measured is the wall, drawn, sent, and decoded in a browser that has no GPU. A tile has changed when its
mean colours have. Server, kernel, street and browser share the machine. Needs what the tests of the notebook
need: the programs in ``tests/notebook``, chromium, playwright.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(_TESTS), str(_TESTS / "notebook")]

import test_in_jupyterlab as in_lab  # noqa: E402 - found by the line above
from jupyterlab_server import jupyterlab  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402


def measure(cameras: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Changes a second of each tile, and what the run in the kernel used meanwhile."""
    clip = in_lab.write_portrait_clip(folder / "portrait.mp4")
    named = {f"camera-{number + 1}": str(clip) for number in range(cameras)}
    street = {"camera": {"loop": True}, "detector": "haar", "detector_longest_side_px": 160}
    settings = {"live": {"cameras": named, "duration_s": 3600, **street}}
    # JSON is YAML.
    (folder / "tiles.yaml").write_text(json.dumps(settings))
    shutil.copy(_TESTS.parent / "notebooks" / "01_live_multi_camera.ipynb", folder / "live.ipynb")
    environment = {
        "TOOLKIT_EXPERIMENT": str(folder / "tiles.yaml"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
    }
    side = next(n for n in range(1, cameras + 1) if n * n >= cameras)
    rows = -(-cameras // side)
    with jupyterlab(folder, environment) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=in_lab._QUIET)
        lab = in_lab.Lab(browser, address, folder)
        lab.page.evaluate(in_lab._RUN_ALL_WHEN_READY)
        expect(lab.find("status")).to_contain_text("frames/s", timeout=150_000)
        lab.page.evaluate(in_lab._CHANGES_PER_S, [side, rows, 5])
        changes = lab.page.evaluate(in_lab._CHANGES_PER_S, [side, rows, seconds])[:cameras]
        told = lab.find("status").inner_text()
        lab.find("stop").click()
        lab.close()
        browser.close()
    return {
        "cameras": cameras,
        "changes_per_s": {
            "least": round(min(changes), 2),
            "median": round(statistics.median(changes), 2),
            "most": round(max(changes), 2),
        },
        "status": told,
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Print the rates, and write them where ``--json`` asks for it."""
    parser = argparse.ArgumentParser(description="Pictures a second of each tile, in a real browser.")
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rates = measure(asked.cameras, asked.seconds, Path(folder))
    print(json.dumps(rates, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(rates, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
