"""Numbers as text that Prometheus reads, served on loopback or left in a file."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from toolkit.errors import ConfigError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Metric:
    """One metric and its samples.

    Attributes:
        name: in full, unit included: ``toolkit_queue_oldest_seconds``.
        kind: a gauge goes up and down, a counter is never less than it was.
        help: one sentence.
        samples: labels and value of each.
    """

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: tuple[tuple[Mapping[str, str], float], ...]


def exposition(metrics: Iterable[Metric]) -> str:
    """The text exposition format 0.0.4; a metric without samples is left out.

    Source: Prometheus documentation, "Exposition formats", text-based format 0.0.4.

    >>> print(exposition([Metric("up", "gauge", "Whether it is.", (({"camera": "door"}, 1),))]), end="")
    # HELP up Whether it is.
    # TYPE up gauge
    up{camera="door"} 1
    """
    lines: list[str] = []
    for metric in metrics:
        if metric.samples:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
            lines += [f"{metric.name}{_labels(labels)} {value}" for labels, value in metric.samples]
    return "".join(f"{line}\n" for line in lines)


def write_metrics(path: Path, text: str) -> None:
    """Leave the text in a file, for Prometheus' textfile collector, which never sees a half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".tmp")
    half.write_text(text, encoding="utf-8")
    os.replace(half, path)


class MetricsServer:
    """Answers ``GET /metrics`` on 127.0.0.1 while it is open. ::

        with MetricsServer(lambda: exposition(metrics()), port=9464) as server:
            print(server.url)

    Args:
        text: gives what to answer; called in a thread of the server.
        port: 0 takes a free one.

    Raises:
        ConfigError: the port is taken.
    """

    def __init__(self, text: Callable[[], str], port: int) -> None:
        try:
            # Loopback only: who wants it on the network puts a proxy with a password before it.
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(text))
        except (OSError, OverflowError) as error:
            raise ConfigError(f"metrics cannot be served on port {port} of 127.0.0.1: {error}") from error
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True
        )

    def __enter__(self) -> MetricsServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(text: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404, "only /metrics is here")
                return
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape every few seconds is no news."""

    return Handler


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
