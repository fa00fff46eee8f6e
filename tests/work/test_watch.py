"""The text for Prometheus, read back line by line."""

from __future__ import annotations

from redis_fixtures import new_name

from toolkit.work.task_queue import TaskQueue
from toolkit.work.watch import prometheus_text


def test_every_statistic_of_a_queue_is_exported():
    with TaskQueue(new_name()) as queue:
        queue.enqueue_many([{"n": 1}, {"n": 2}])
        queue.dequeue()
        numbers = queue.statistics()

    samples = _read(prometheus_text({"q": numbers}))

    assert len(samples) == len(numbers)
    assert samples["toolkit_queue_waiting", "q"] == ("gauge", 1)
    assert samples["toolkit_queue_enqueued_total", "q"] == ("counter", 2)
    assert samples["toolkit_queue_taken_total", "q"] == ("counter", 1)
    assert samples["toolkit_queue_oldest_seconds", "q"] == ("gauge", numbers["oldest_s"])


def test_several_queues_share_the_head_of_a_metric():
    text = prometheus_text({"a": {"waiting": 1}, "b": {"waiting": 2}})

    assert text.splitlines()[1:] == [
        "# TYPE toolkit_queue_waiting gauge",
        'toolkit_queue_waiting{queue="a"} 1',
        'toolkit_queue_waiting{queue="b"} 2',
    ]


def test_a_name_may_hold_any_letter():
    name = 'a"b\\n\\c\nd'

    assert _read(prometheus_text({name: {"dead": 0}})) == {("toolkit_queue_dead", name): ("gauge", 0)}


def test_nothing_waiting_is_no_age_and_no_queue_no_text():
    assert 'toolkit_queue_oldest_seconds{queue="q"} 0\n' in prometheus_text({"q": {"oldest_s": None}})
    assert prometheus_text({}) == ""


def _read(text: str) -> dict[tuple[str, str], tuple[str, float]]:
    """Metric and queue to kind and value; the lines of a metric stand together, below its head."""
    samples, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            name, _, rest = line.partition('{queue="')
            label, _, value = rest.rpartition('"} ')
            assert name == list(kinds)[-1]
            samples[name, _unescaped(label)] = (kinds[name], float(value))
    assert text == "" or text.endswith("\n")
    return samples


def _unescaped(label: str) -> str:
    meant = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
    parts, at = [], 0
    while at < len(label):
        step = 2 if label[at] == "\\" else 1
        parts.append(meant[label[at : at + 2]] if step == 2 else label[at])
        at += step
    return "".join(parts)
