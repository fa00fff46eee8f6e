"""The catalogue: found, fetched, or refused, and always said why."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.errors import ModelError
from toolkit.models import catalogue
from toolkit.models.catalogue import CATALOGUE, find_model

CONTENT = b"weights of a small model"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of one small file, an empty cache, no TOOLKIT_DATA, no network address that answers."""
    small = replace(
        CATALOGUE["yunet"],
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size_bytes=len(CONTENT),
        url="http://127.0.0.1:9/model.onnx",
    )
    monkeypatch.setitem(CATALOGUE, "yunet", small)
    monkeypatch.setattr(catalogue, "_cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("TOOLKIT_DATA", raising=False)
    monkeypatch.delenv("TOOLKIT_OFFLINE", raising=False)
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def served(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A real web server on the loopback; what it serves can be changed."""
    body = {"content": CONTENT}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body["content"])

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/model.onnx"
        monkeypatch.setitem(CATALOGUE, "yunet", replace(CATALOGUE["yunet"], url=url))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield body
        server.shutdown()
        thread.join()


def test_a_file_under_toolkit_data_comes_first(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_DATA", str(tmp_path))
    for folder in (tmp_path / "models", cache):
        folder.mkdir(exist_ok=True)
        (folder / CATALOGUE["yunet"].file).write_bytes(CONTENT)

    assert find_model("yunet").parent == tmp_path / "models"


def test_a_cached_file_is_used(cache: Path) -> None:
    (cache / CATALOGUE["yunet"].file).write_bytes(CONTENT)

    assert find_model("yunet").read_bytes() == CONTENT


def test_what_is_nowhere_is_fetched_into_the_cache(cache: Path, served: dict[str, bytes]) -> None:
    path = find_model("yunet")

    assert path == cache / CATALOGUE["yunet"].file
    assert [file.name for file in cache.iterdir()] == [path.name]
    assert path.read_bytes() == CONTENT


def test_a_download_with_another_checksum_is_refused_and_not_kept(
    cache: Path, served: dict[str, bytes]
) -> None:
    served["content"] = CONTENT + b"!"

    with pytest.raises(ModelError, match="refused, the checksum of what came"):
        find_model("yunet")
    assert list(cache.iterdir()) == []


def test_a_changed_file_in_the_cache_is_replaced(cache: Path, served: dict[str, bytes]) -> None:
    (cache / CATALOGUE["yunet"].file).write_bytes(b"something else")

    assert find_model("yunet").read_bytes() == CONTENT


def test_offline_nothing_is_fetched(
    cache: Path, served: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_OFFLINE", "1")

    with pytest.raises(
        ModelError, match=r"not there; no download, because TOOLKIT_OFFLINE is 1\. Get it from"
    ):
        find_model("yunet")


def test_when_nothing_answers_all_that_was_tried_is_named(cache: Path) -> None:
    with pytest.raises(ModelError, match=r"cache/.*: not there; http://127\.0\.0\.1:9/.*refused"):
        find_model("yunet")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean 'yunet'"):
        find_model("yunnet")


def test_the_real_detector_has_the_checksum_of_the_catalogue(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_DATA", str(data_dir))
    monkeypatch.setenv("TOOLKIT_OFFLINE", "1")

    assert find_model("yunet").stat().st_size == CATALOGUE["yunet"].size_bytes
