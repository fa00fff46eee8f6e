"""Numbers as Prometheus reads them."""

import urllib.error
import urllib.request

import pytest

from toolkit.errors import ConfigError
from toolkit.prometheus import CONTENT_TYPE, Metric, MetricsServer, exposition, write_metrics


def test_labels_are_escaped_and_a_metric_without_samples_is_left_out():
    metrics = [
        Metric("a", "gauge", "Of a.", (({"camera": 'the "do\\or"\n'}, 1.5), ({}, 2))),
        Metric("b", "counter", "Of b.", ()),
    ]

    assert exposition(metrics).splitlines() == [
        "# HELP a Of a.",
        "# TYPE a gauge",
        r'a{camera="the \"do\\or\"\n"} 1.5',
        "a 2",
    ]


def test_the_newest_text_is_served_on_loopback_until_the_server_is_closed():
    texts = iter(["one\n", "two\n"])
    with MetricsServer(lambda: next(texts), port=0) as server:
        answers = [urllib.request.urlopen(server.url, timeout=5) for _ in range(2)]
        bodies = [answer.read() for answer in answers]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.url.replace("/metrics", "/"), timeout=5)

    assert bodies == [b"one\n", b"two\n"]
    assert answers[0].headers["Content-Type"] == CONTENT_TYPE
    assert server.url.startswith("http://127.0.0.1:")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.url, timeout=5)


def test_a_port_that_is_taken_is_said():
    with MetricsServer(str, port=0) as server:
        port = int(server.url.split(":")[2].split("/")[0])

        with pytest.raises(ConfigError, match=f"port {port}"):
            MetricsServer(str, port)


def test_a_file_of_metrics_is_replaced_in_one_piece(tmp_path):
    path = tmp_path / "node" / "toolkit.prom"
    for text in ("a 1\n", "a 2\n"):
        write_metrics(path, text)

    assert path.read_text() == "a 2\n"
    assert [file.name for file in path.parent.iterdir()] == ["toolkit.prom"]
