"""The script that breaks things under a labelled scene: its sums, its clock, and its queue."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from fakes import EchoModel
from waiting import wait_until

from toolkit.errors import ConfigError, ToolkitError
from toolkit.experiment import build
from toolkit.records import Frame, FrameResult

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))

import fault_scenes as script

_EXPERIMENTS = Path(script.__file__).parent

_CONFIG = script.FaultScenes("scene:hall", seconds=9.0, from_s=1.0, breaks_at_s=3.0, broken_s=2.0)


def _seconds(victim: list[float | None]) -> dict[str, list[dict]]:
    def rows(shares: list[float | None]) -> list[dict]:
        return [
            {"time_s": float(n), "faces": 4, "gender_accuracy": share, "staleness_ms": 100.0 * n}
            for n, share in enumerate(shares, start=1)
        ]

    return {"victim": rows(victim), "neighbours": rows([0.8] * len(victim))}


def test_a_run_falls_below_the_whole_one_and_is_back_when_it_stays_so() -> None:
    whole = _seconds([0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.9, 0.9])
    broken = _seconds([0.2, 0.9, 0.5, None, 0.85, 0.5, 0.85, 0.9])

    told = script.fall_and_return(broken, whole, _CONFIG)

    # The second before the fault does not count; one good second at 5 s is not yet a return, 7 s is.
    assert told["victim_fall"] == pytest.approx(0.4)
    assert told["victim_back_after_s"] == 2.0
    assert told["victim_stalest_ms"] == 800.0
    assert (told["neighbours_fall"], told["neighbours_back_after_s"]) == (0.0, 0.0)


def test_who_never_comes_back_is_told_so() -> None:
    whole, broken = _seconds([0.9] * 8), _seconds([0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.1, 0.9])

    assert script.fall_and_return(broken, whole, _CONFIG)["victim_back_after_s"] is None


def test_the_moment_a_frame_came_tells_which_one_of_the_scene_it_is() -> None:
    screens = script.Screens(epoch_at=1000.0, frames_per_s=10.0)
    image = np.zeros((4, 4, 3), np.uint8)

    # The second one was sent by a camera that had begun its own time anew.
    for captured_at, media_time_s in ((1000.302, 0.3), (1007.001, 0.0)):
        screens(FrameResult(Frame("a", 0, captured_at, image, media_time_s), (), captured_at + 0.05))

    assert [answer.frame_time_s for answer in screens.answers] == pytest.approx([0.3, 7.0])
    assert [answer.finished_at_s for answer in screens.answers] == pytest.approx([0.352, 7.051])


def test_a_model_behind_a_queue_fails_while_redis_is_away_and_answers_when_it_is_back(monkeypatch) -> None:
    monkeypatch.setattr(script, "ANSWER_TIMEOUT_S", 0.5)
    crops = [np.full((8, 8, 3), 90, np.uint8)]

    with script.behind_a_queue(EchoModel()) as (ask, server, url):
        world = script.World({}, None, server=server, redis_url=url)
        before = ask(crops)
        script.kill_redis(world)
        with pytest.raises((ToolkitError, TimeoutError)):
            ask(crops)
        script.start_redis(world)
        wait_until(lambda: _answers(ask, crops) == before, timeout_s=30)

    assert before == EchoModel()(crops)


def _answers(ask, crops):
    try:
        return ask(crops)
    except (ToolkitError, TimeoutError):
        return None


def test_the_experiment_that_is_shipped_is_right_and_a_wrong_one_is_refused() -> None:
    values = yaml.safe_load((_EXPERIMENTS / "fault-scenes.yaml").read_text(encoding="utf-8"))

    assert build(script.FaultScenes, values, "yaml").question
    with pytest.raises(ConfigError, match="did you mean 'broken_s'"):
        build(script.FaultScenes, values | {"brokn_s": 1}, "yaml")
    with pytest.raises(ConfigError, match="must hold"):
        build(script.FaultScenes, values | {"broken_s": 60.0}, "yaml")
