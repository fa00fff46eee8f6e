"""The live notebook in a real JupyterLab, in a real browser, with real clicks.

Screenshots are left in the folder that TOOLKIT_SCREENSHOTS names, else among pytest's temporary files.
"""

from __future__ import annotations

import ast
import base64
import importlib.util
import os
import re
import shutil
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from jupyterlab_server import jupyterlab
from matplotlib.cbook import get_sample_data
from waiting import wait_until

_NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_live_multi_camera.ipynb"
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")

# Every face of every frame goes to the model, one a batch: what a change of the batches does is to be seen.
_EXPERIMENT = """
live:
  cameras: {{a: {clip}, b: {clip}, c: {clip}, d: {clip}}}
  camera: {{loop: true}}
  detector: haar
  detector_longest_side_px: 160
  duration_s: 3
  pipeline: {{batch_size: 1, max_wait_s: 0.3, tracker: {{votes_wanted: 1000000}}}}
"""

_RUN_ALL_WHEN_READY = """async () => {
    const app = window.jupyterapp;
    await app.restored;
    let panel;
    while (!(panel = app.shell.currentWidget)?.sessionContext) await new Promise(r => setTimeout(r, 50));
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.revealed;
    await panel.sessionContext.session.kernel.info;
    app.commands.execute('notebook:run-all-cells');
}"""

# A tile has changed when its mean colours have: what JPEG adds is less.
_CHANGES_PER_S = """async ([columns, rows, seconds]) => {
    const image = document.querySelector('.toolkit-wall'), canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [columns * 16, rows * 9];
    const pen = canvas.getContext('2d', {willReadFrequently: true});
    const changes = Array(columns * rows).fill(0), last = [];
    const look = () => {
        pen.drawImage(image, 0, 0, canvas.width, canvas.height);
        for (let n = 0; n < columns * rows; n++) {
            const tile = pen.getImageData(n % columns * 16, Math.floor(n / columns) * 9, 16, 9).data;
            const before = last[n] ?? tile;
            let most = 0;
            for (let i = 0; i < tile.length; i++) most = Math.max(most, Math.abs(tile[i] - before[i]));
            changes[n] += most > 3;
            last[n] = tile;
        }
    };
    look();
    image.addEventListener('load', look);
    await new Promise(done => setTimeout(done, seconds * 1000));
    image.removeEventListener('load', look);
    return changes.map(count => count / seconds);
}"""


class Lab:
    """The notebook in one browser and one kernel, which the tests share: loading them takes longest."""

    def __init__(self, browser: Any, address: str, folder: Path) -> None:
        self.complaints: list[str] = []
        self._context = browser.new_context(viewport={"width": 1280, "height": 1300})
        self._address, self._folder = address, folder
        self._page: Any = None
        self._kernel: Any = None

    @property
    def page(self) -> Any:
        """The page, opened anew if somebody has closed it."""
        if self._page is None or self._page.is_closed():
            self._page = self._context.new_page()
            self._page.on("console", self._note)
            self._page.goto(self.address("lab/tree"))
            self._page.wait_for_function("window.jupyterapp", timeout=90_000)
        return self._page

    def address(self, door: str) -> str:
        """Of the notebook behind one of the server's doors."""
        return self._address.format("live.ipynb").replace("lab/tree", door)

    def find(self, name: str) -> Any:
        """A widget by its class."""
        return self.page.locator(f".toolkit-{name}")

    def live_page(self) -> Any:
        """The page while a run is on."""
        from playwright.sync_api import expect

        page = self.page
        if self.find("start").is_enabled():
            self.find("start").click()
        expect(self.find("status")).to_contain_text("live", timeout=90_000)
        return page

    def fill(self, name: str, text: str, in_kernel: str) -> None:
        """Type into a field; the kernel hears of it a moment later, and a person is no quicker than that."""
        field = self.find(name).locator("input")
        field.fill(text)
        field.press("Tab")
        wait_until(lambda: str(self.in_kernel(f"dashboard.panel.controls.{in_kernel}.value")) == text, 30)

    def changes_per_s(self, least: float = 0.0) -> list[float]:
        """Of each of four tiles; looks again while one has fewer: something else may want the cores."""
        deadline = time.monotonic() + 90
        while True:
            changes = self.page.evaluate(_CHANGES_PER_S, [2, 2, 1])
            if min(changes) >= least or time.monotonic() > deadline:
                return changes

    def screenshot(self, name: str, top: str = "status") -> None:
        """Of the page from that widget down."""
        self.find(top).first.evaluate("part => part.scrollIntoView({block: 'start'})")
        folder = Path(os.environ.get("TOOLKIT_SCREENSHOTS") or self._folder / "screenshots")
        folder.mkdir(parents=True, exist_ok=True)
        # Playwright would write it in a thread that stays.
        (folder / f"{name}.png").write_bytes(self.page.screenshot())

    def in_kernel(self, expression: str) -> Any:
        """What an expression is in the notebook's kernel, asked past the browser."""
        from jupyter_client import BlockingKernelClient

        if self._kernel is None:
            [connection] = (self._folder / ".jupyter" / "runtime").glob("kernel-*.json")
            self._kernel = BlockingKernelClient(connection_file=str(connection))
            self._kernel.load_connection_file()
            self._kernel.start_channels(stdin=False, hb=False)
        asked = {"value": expression}
        reply = self._kernel.execute("", silent=True, user_expressions=asked, reply=True, timeout=60)
        value = reply["content"]["user_expressions"]["value"]
        assert value["status"] == "ok", value
        return ast.literal_eval(value["data"]["text/plain"])

    def alive(self) -> dict[str, list[str]]:
        """What a run would leave if it left something: threads of ours, processes, and open clips."""
        ours = "sorted(t.name for t in __import__('threading').enumerate() if t.name.split('-')[0] in "
        ours += "('camera', 'look', 'model', 'finish', 'dashboard', 'mlflow'))"
        me = "__import__('psutil').Process()"
        return {
            "threads": self.in_kernel(ours),
            "processes": self.in_kernel(f"[child.name() for child in {me}.children()]"),
            "clips": self.in_kernel(f"[f.path for f in {me}.open_files() if f.path.endswith('.mp4')]"),
        }

    def close(self) -> None:
        if self._kernel is not None:
            self._kernel.stop_channels()
        self._context.close()

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


NOTHING: dict[str, list[str]] = {"threads": [], "processes": [], "clips": []}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if _CHROMIUM is None or importlib.util.find_spec("playwright") is None:
        reason = "needs the program chromium and the package playwright"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import expect, sync_playwright

    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(_NOTEBOOK, folder / "live.ipynb")
    clip = write_portrait_clip(folder / "portrait.mp4")
    (folder / "four.yaml").write_text(_EXPERIMENT.format(clip=clip))
    # Not in the folder that JupyterLab shows: it says "Directory not found" when a file, such as SQLite's
    # journal, is gone again while it lists them.
    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    environment = {
        "TOOLKIT_EXPERIMENT": str(folder / "four.yaml"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{store}",
    }
    with jupyterlab(folder, environment) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_QUIET)
        lab = Lab(browser, address, folder)
        lab.page.evaluate(_RUN_ALL_WHEN_READY)
        # The last cell shows the table of runs; buttons wait for the cells.
        table = lab.page.locator(".jp-OutputArea-output table", has_text="FINISHED")
        expect(table).to_be_visible(timeout=150_000)
        # Later runs go on until somebody ends them.
        endless = "__import__('dataclasses').replace(dashboard.live, duration_s=None)"
        lab.in_kernel(f"setattr(dashboard, '_live', {endless})")
        # The first one starts a thread that Playwright keeps.
        lab.screenshot("all-cells")
        yield lab
        lab.close()
        browser.close()


def write_portrait_clip(path: Path) -> Path:
    """A face that moves from side to side, 320x180, 15 pictures a second: the portrait of matplotlib's."""
    portrait = cv2.imread(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    head = cv2.resize(portrait[:420], (219, 180), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 320, 180, "yuv420p", Fraction(1, 15)
        for number in range(60):
            left = 3 * (number if number < 30 else 60 - number)
            picture = np.full((180, 320, 3), 90 + number, np.uint8)
            picture[:, left : left + 219] = head
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


def test_four_cameras_move_and_stop_and_start_as_they_are_told(lab):
    from playwright.sync_api import expect

    lab.live_page()
    assert min(lab.changes_per_s(least=10)) >= 10
    lab.screenshot("live")
    lab.screenshot("numbers", top="table")
    lab.find("stop").click()
    expect(lab.find("status")).to_contain_text("MLflow run", timeout=60_000)
    first_run = lab.find("status").inner_text()
    lab.screenshot("over")
    assert max(lab.changes_per_s()) == 0

    lab.find("start").click()
    expect(lab.find("status")).to_contain_text("live", timeout=60_000)
    assert min(lab.changes_per_s(least=10)) >= 10
    assert first_run not in lab.find("status").inner_text()
    assert lab.complaints == []


def test_a_camera_is_added_and_removed_and_what_is_wrong_is_said(lab):
    from playwright.sync_api import expect

    page, events = lab.live_page(), lab.find("events")
    lab.find("steer").locator(".jupyter-widget-Collapse-header").first.click()
    lab.fill("add-name", "fifth", "name_text")
    lab.fill("add-address", "portrait.mp4", "address_text")
    lab.find("add").click()
    expect(events).to_contain_text("camera fifth added", timeout=30_000)
    expect(lab.find("table").locator("tr", has_text="fifth")).to_contain_text("live", timeout=30_000)
    lab.fill("add-name", "fifth", "name_text")
    lab.find("add").click()
    expect(lab.find("message")).to_contain_text("already", timeout=30_000)
    lab.screenshot("five-cameras")
    lab.find("camera-menu").locator("select").select_option("fifth")
    wait_until(lambda: lab.in_kernel("dashboard.panel.controls.camera_menu.value") == "fifth", 30)
    lab.find("remove").click()

    expect(events).to_contain_text("camera fifth removed", timeout=30_000)
    lab.find("steer").locator(".jupyter-widget-Collapse-header").first.click()
    assert page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollWidth") <= 1280


def test_another_batch_size_takes_effect_while_the_run_goes_on(lab):
    from playwright.sync_api import expect

    lab.live_page()
    before = lab.in_kernel("dashboard.live.pipeline.batch_size")
    size, shown = (8, re.compile("5-8")) if before == 1 else (1, re.compile("batch_size"))
    lab.find("steer").locator(".jupyter-widget-Collapse-header").last.click()
    lab.fill("batch-size", str(size), "_settings['batch_size']")
    lab.find("apply").click()

    expect(lab.find("events")).to_contain_text(f"batch_size {before} → {size}", timeout=30_000)
    expect(lab.find("plots")).to_contain_text(shown, timeout=30_000)
    lab.screenshot("settings")
    lab.find("steer").locator(".jupyter-widget-Collapse-header").last.click()
    [left] = lab.in_kernel("[sum(c['failed'] for c in dashboard._shown._run.newest['cameras'].values())]")
    assert left == 0


def test_every_other_setting_can_be_changed_while_the_run_goes_on(lab):
    from playwright.sync_api import expect

    lab.live_page()
    lab.find("steer").locator(".jupyter-widget-Collapse-header").last.click()
    lab.fill("max-wait-ms", "42.5", "_settings['max_wait_ms']")
    lab.fill("search-every", "2", "_settings['search_every']")
    lab.find("runtime").locator("select").select_option("torch")
    lab.find("checkpoint").locator("input").fill("nowhere.safetensors")
    lab.find("checkpoint").locator("input").press("Tab")
    asked = "dashboard.panel.controls.asked().get('checkpoint')"
    wait_until(lambda: lab.in_kernel(asked) == "nowhere.safetensors", 30)
    lab.find("apply").click()

    for told in ("max_wait_s 0.3 → 0.0425", "search_every 1 → 2", "no checkpoint nowhere.safetensors"):
        expect(lab.find("events")).to_contain_text(told, timeout=60_000)
    # What was refused is shown no longer: the fields stand at what is in force.
    expect(lab.find("checkpoint").locator("input")).to_have_value("shipped", timeout=30_000)
    lab.find("runtime").locator("select").select_option("torch")
    lab.find("apply").click()
    expect(lab.find("events")).to_contain_text("runtime auto → torch", timeout=60_000)
    expect(lab.find("status")).to_contain_text("model in torch", timeout=30_000)
    lab.find("blur").click()
    wait_until(lambda: lab.in_kernel("dashboard.panel.controls.blur_toggle.value") is False, 30)
    lab.screenshot("all-settings")
    lab.screenshot("events", top="events")
    lab.find("blur").click()
    lab.find("steer").locator(".jupyter-widget-Collapse-header").last.click()


def test_the_exported_page_holds_the_last_pictures(lab):
    lab.live_page()
    lab.page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.context.save(); }")
    exported = lab.page.request.get(lab.address("nbconvert/html"), timeout=90_000)
    assert exported.ok, exported.text()[:1000]
    pictures = re.findall(r'<img[^>]*src="data:image/(\w+);base64,([^"]+)"', exported.text())

    assert [kind for kind, _ in pictures] == ["jpeg", "png", "png", "png", "png"]
    wall = cv2.imdecode(np.frombuffer(base64.b64decode(pictures[0][1]), np.uint8), cv2.IMREAD_COLOR)
    assert wall.shape == (720, 1280, 3)
    assert wall.std() > 30, "four pictures, and no grey wall"


def test_an_interrupted_cell_and_one_run_twice_leave_nothing_of_ours(lab, tmp_path):
    lab.live_page()
    # As the cell that makes and starts a dashboard does when it is run again.
    lab.in_kernel("(setattr(__import__('builtins'), 'board', type(dashboard)(experiment)), board.start())")
    wait_until(lambda: lab.in_kernel("board.state.value") == "live", 90)
    assert lab.alive()["threads"].count("dashboard") == 1
    begun = tmp_path / "begun"  # a cell that is interrupted before it begins is not interrupted at all
    request = lab._kernel.execute(f"open({str(begun)!r}, 'w').close(); board.watch()", silent=True)
    wait_until(begun.exists, 60)
    lab.page.evaluate("window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    while (reply := lab._kernel.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != request:
        pass

    assert reply["content"]["ename"] == "KeyboardInterrupt"
    wait_until(lambda: lab.alive() == NOTHING, 30)


def test_a_page_that_is_closed_leaves_nothing_of_ours(lab):
    page = lab.live_page()
    wait_until(lambda: lab.in_kernel("dashboard._audience._was_there"), 30)
    assert lab.alive()["threads"].count("dashboard") == 1
    lab.in_kernel("setattr(dashboard._audience, '_patience_s', 2.0)")

    page.close()

    wait_until(lambda: lab.in_kernel("dashboard.state.value") == "over", 60)
    lab.in_kernel("setattr(dashboard._audience, '_patience_s', 60.0)")
    wait_until(lambda: lab.alive() == NOTHING, 30)
