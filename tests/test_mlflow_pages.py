"""MLflow's own pages of our runs, in a real browser.

A screenshot is left in the folder that TOOLKIT_SCREENSHOTS names, else among pytest's temporary files.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from click.testing import CliRunner
from made_faces import write_pack
from mlflow_server import mlflow_server

from toolkit.cli import cli

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def test_the_comparison_of_a_sweep_opens_with_accuracy_and_shows_throughput(tmp_path, monkeypatch, new_store):
    if _CHROMIUM is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs chromium")
    from playwright.sync_api import expect, sync_playwright

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store := new_store(tmp_path / "store"))
    points = _swept(tmp_path)
    with mlflow_server(store, tmp_path) as (_, address), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        runs = quote(json.dumps([point["mlflow_run_id"] for point in points]))
        page.goto(f"{address}/#/compare-runs?runs={runs}&experiments={quote(json.dumps(['1']))}")
        # Each line of the plot stands for a run; its axes are what MLflow chose.
        axes = page.locator(".js-plotly-plot .axis-title")
        expect(axes.filter(has_text="train.image_px")).to_be_visible(timeout=60_000)
        expect(axes.last).to_have_text("val/gender_accuracy")
        expect(page.get_by_role("link", name="model/images_per_s")).to_be_visible()
        for point in points:
            expect(page.get_by_text(f"{round(point['images_per_s'], 1):g}", exact=True)).to_be_visible()

        folder = Path(os.environ.get("TOOLKIT_SCREENSHOTS") or tmp_path / "screenshots")
        folder.mkdir(parents=True, exist_ok=True)
        # Playwright would write it in a thread that stays.
        (folder / "mlflow-sweep.png").write_bytes(page.screenshot())
        browser.close()


def _swept(folder: Path) -> list[dict[str, Any]]:
    """The points of a sweep over two sizes of pictures, trained on drawn faces."""
    write_pack(folder / "made.parquet", train=24, val=8)
    train = {"data": "made.parquet", "backbone": "test_resnet", "epochs": 1, "batch_size": 8, "device": "cpu"}
    experiment = {"train": train, "sweep": {"grid": {"image_px": [16, 32]}}}
    (folder / "sizes.yaml").write_text(yaml.safe_dump(experiment))
    CliRunner().invoke(cli, ["sweep", "sizes.yaml", "--json", "sizes.json"], catch_exceptions=False)
    points = json.loads((folder / "sizes.json").read_text())["points"]
    assert len(points) == 2
    return points
