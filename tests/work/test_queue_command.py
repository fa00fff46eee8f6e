"""``toolkit queue`` as a person uses it: what it shows, what it changes, and what it asks first."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
from redis_fixtures import new_name, own_server

from toolkit.cli import main
from toolkit.work.task_queue import TaskQueue


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run ``toolkit queue WORDS``; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDIS_URL", raising=False)

    def run(queue, *words: str, answer: str = "") -> tuple[int, str, str]:
        options = ["--redis", queue.url, "--queue", queue.name] if queue else []
        monkeypatch.setattr(sys, "argv", ["toolkit", "queue", words[0], *options, *words[1:]])
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


@pytest.fixture
def queue():
    with TaskQueue(new_name()) as queue:
        yield queue


def _bury(queue, *tasks) -> list[str]:
    """Let tasks fail for good; their ids."""
    task_ids = queue.enqueue_many(tasks)
    queue.finish(hand.failed("OSError: rtsp://me:1234@door/1", "line 7") for hand in queue.take(9))
    return task_ids


def test_list_shows_every_queue_of_a_redis(run, monkeypatch, tmp_path):
    with own_server() as (_, url), TaskQueue("faces", url) as faces, TaskQueue("bodies", url) as bodies:
        faces.enqueue_many([{}] * 3)
        bodies.enqueue({})
        monkeypatch.setenv("REDIS_URL", url)
        code, out, _ = run(None, "list", "--json", "out.json")

    assert code == 0
    assert [row.split()[:2] for row in out.splitlines() if row.strip()][-2:] == [
        ["bodies", "1"],
        ["faces", "3"],
    ]
    assert json.loads((tmp_path / "out.json").read_text())["faces"]["waiting"] == 3


def test_peek_shows_what_comes_next_without_pictures_or_passwords(run, queue, tmp_path):
    queue.enqueue({"type": "look", "url": "rtsp://me:1234@door/1", "frame": np.zeros((48, 64, 3), np.uint8)})

    code, out, _ = run(queue, "peek", "--json", "out.json")

    (task,) = json.loads((tmp_path / "out.json").read_text())["tasks"]
    assert code == 0
    assert task["data"] == "type='look', url='rtsp://***@door/1', frame=uint8 (48, 64, 3)"
    assert "1234" not in out + str(task)
    assert "waiting" in out
    assert queue.size() == 1


def test_dead_shows_why_and_where(run, queue, tmp_path):
    (task_id,) = _bury(queue, {"type": "look", "n": 7})

    _, out, _ = run(queue, "dead", "--traceback", "--json", "out.json")

    (letter,) = json.loads((tmp_path / "out.json").read_text())["letters"]
    assert letter["error"] == "OSError: rtsp://***@door/1"
    assert letter["data"] == "type='look', n=7"
    assert f"{task_id}\nline 7\n" in out
    assert "1234" not in out


def test_requeue_puts_back_what_is_named_or_all(run, queue):
    first, *_ = _bury(queue, {"n": 1}, {"n": 2}, {"n": 3})

    assert "1 put back" in run(queue, "requeue", first)[1]
    assert queue.dequeue() == {"n": 1}
    assert "2 put back" in run(queue, "requeue", "--all")[1]
    assert (queue.size(), len(queue.dead_letters)) == (2, 0)


def test_purge_asks_first(run, queue):
    queue.enqueue_many([{}] * 3)

    refused = run(queue, "purge", "waiting", answer="n\n")
    left = queue.size()
    agreed = run(queue, "purge", "waiting", answer="y\n")

    assert (refused[0], left) == (1, 3)
    assert "Drop 3 waiting tasks" in refused[2]
    assert "3 waiting tasks" in agreed[1]
    assert (agreed[0], queue.size()) == (0, 0)


def test_one_queue_and_one_task_are_not_called_several(run, monkeypatch):
    with own_server() as (_, url), TaskQueue("faces", url) as queue:
        queue.enqueue({})
        monkeypatch.setenv("REDIS_URL", url)
        listed = run(None, "list")
        purged = run(queue, "purge", "waiting", "--yes")

    assert listed[1].startswith("1 queue at ")
    assert purged[1] == "1 waiting task of queue 'faces' dropped\n"


def test_a_queue_with_square_brackets_is_named_in_full(run):
    with TaskQueue(f"[old]{new_name()}") as queue:
        queue.enqueue({})

        requeued = run(queue, "requeue", "--all")
        purged = run(queue, "purge", "waiting", "--yes")

    assert requeued[1] == f"0 put back into queue '{queue.name}'\n"
    assert f"of queue '{queue.name}' dropped" in purged[1]


def test_purge_drops_dead_letters_and_nothing_else(run, queue):
    first, *_ = _bury(queue, {"n": 1}, {"n": 2}, {"n": 3})
    queue.enqueue({"n": 4})

    run(queue, "purge", "dead", first, "--yes")
    assert len(queue.dead_letters) == 2
    run(queue, "purge", "dead", "--yes")

    assert (len(queue.dead_letters), queue.size()) == (0, 1)


def test_stats_are_numbers_for_people_and_for_prometheus(run, queue, tmp_path):
    queue.enqueue_many([{}] * 1234)

    _, table, _ = run(queue, "stats", "--json", "out.json")
    _, text, _ = run(queue, "stats", "--prometheus")

    assert "1,234" in table
    assert json.loads((tmp_path / "out.json").read_text())["waiting"] == 1234
    assert f'toolkit_queue_waiting{{queue="{queue.name}"}} 1234\n' in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["requeue"], "Name their task ids"),
        (["requeue", "x", "--all"], "Name their task ids"),
        (["requeue", "x"], "0 of the 1 tasks were dead letters"),
        (["purge", "dead", "x", "--yes"], "0 of the 1 tasks were dead letters"),
        (["purge", "waiting", "x"], "toolkit queue purge dead ID"),
    ],
)
def test_a_mistake_ends_in_one_line(run, queue, words, said):
    queue.size()

    code, _, err = run(queue, *words)

    assert code == 1
    assert said in err
    assert err.splitlines()[-1].startswith("error:")


def test_a_queue_that_is_not_there_is_not_made(run, queue):
    queue.size()
    with TaskQueue(queue.name[:-1], queue.url) as slip:
        code, _, err = run(slip, "stats")
        slip._connection.close()

    assert code == 1
    assert f"no queue '{slip.name}'" in err


@pytest.mark.parametrize("words", ["list", "list --redis redis://me:secret@127.0.0.1:9/0"])
def test_a_redis_that_is_not_given_or_away_is_said_without_its_password(run, words):
    code, _, err = run(None, *words.split())

    assert code == 1
    assert "Redis" in err
    assert "secret" not in err
