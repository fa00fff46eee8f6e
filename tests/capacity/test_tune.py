"""The tuner on machines whose best settings are known: found, and never worse than the defaults."""

import itertools

import pytest
import yaml

from toolkit.capacity.config import CapacityConfig, TuneConfig
from toolkit.capacity.grid import changes, check_grid, with_settings
from toolkit.capacity.tune import Journal, tune
from toolkit.capacity.tune_run import tuned_yaml
from toolkit.errors import ConfigError
from toolkit.experiment import LiveConfig

GRID = {"pipeline.search_every": [1, 2, 3], "pipeline.batch_size": [32, 8]}
LIVE = LiveConfig({"view": "x"})
CAPACITY = CapacityConfig(most_cameras=64)


def machine_of(knee_of, blind=()):
    """Machines that carry ``knee_of(settings)`` cameras; those of ``blind`` searches see too little."""

    def of(settings):
        knee = knee_of(settings)

        def run(cameras, number):
            row = {
                "cameras": cameras,
                "p50_ms": 10.0,
                "p99_ms": 150.0 * cameras / knee,
                "dropped_fraction": 0.0 if cameras <= knee else 0.2,
                "frames_per_s": 15.0 * cameras,
                "cpu_ms_per_frame": 100.0 / knee,
                "others_cpu": 0.0,
                "streaming_gender_accuracy": 0.6 if settings.get("pipeline.search_every") in blind else 0.9,
                "offline_gender_accuracy": 0.9,
            }
            failures = CAPACITY.failures(row)
            return row | {"failures": failures, "passed": not failures}

        return run

    return of


def knee(settings):
    """A search in every second frame carries half as much again; a small batch costs a little."""
    return (
        10 + 5 * (settings.get("pipeline.search_every", 1) - 1) - (settings.get("pipeline.batch_size") == 8)
    )


def tuned(tmp_path, machines, **settings):
    journal = Journal(machines, tmp_path / "tuning.json", {"asked": settings})
    config = TuneConfig(grid=GRID, **settings)
    return tune(journal, changes(config, LIVE), config, CAPACITY), journal


def test_the_best_settings_that_still_see_enough_are_found(tmp_path):
    result, _ = tuned(tmp_path, machine_of(knee, blind=(3,)))

    assert result["settings"] == {"pipeline.search_every": 2}
    assert (result["tuned"]["cameras"], result["defaults"]["cameras"]) == (15, 10)
    assert result["ratio"] == 1.5
    assert result["rounds"][-1][0]["settings"] == result["settings"]


def test_changes_that_help_alone_are_put_together_and_none_that_does_not(tmp_path):
    def both(settings):
        bonus = {"pipeline.search_every": 4, "pipeline.max_wait_s": 3, "pipeline.batch_size": -2}
        return 10 + sum(bonus[key] for key in settings)

    grid = {"pipeline.search_every": [2], "pipeline.batch_size": [8], "pipeline.max_wait_s": [0.0]}
    journal = Journal(machine_of(both), tmp_path / "tuning.json", {})
    config = TuneConfig(grid=grid)

    result = tune(journal, changes(config, LIVE), config, CAPACITY)

    assert result["settings"] == {"pipeline.search_every": 2, "pipeline.max_wait_s": 0.0}
    assert (result["ratio"], result["sure"]) == (1.7, 1.0)


def test_the_best_settings_and_the_defaults_are_measured_by_turns(tmp_path):
    _, journal = tuned(tmp_path, machine_of(knee))

    afresh = [row["phase"] for row in journal.rows if row["phase"] in ("tuned", "defaults")]
    both = 2 * min(afresh.count("tuned"), afresh.count("defaults"))
    assert set(afresh[0:both:2]) == {"tuned"}
    assert set(afresh[1:both:2]) == {"defaults"}


def test_a_run_of_a_round_that_others_disturbed_is_made_once_more(tmp_path):
    steady = machine_of(knee)

    def busy(settings):
        return lambda cameras, number: steady(settings)(cameras, number) | {"others_cpu": 0.5}

    _, journal = tuned(tmp_path, busy, cameras=6)

    phases = [row["phase"] for row in journal.rows]
    assert phases.count("round 1") == phases.count("round 1 again") == 4


def test_settings_that_see_too_little_do_not_win_by_failing_less_when_all_fail(tmp_path):
    # The blind ones carry far more; in the last rounds, beyond everybody's knee, they look best.
    fast = machine_of(lambda s: 40 if s.get("pipeline.search_every") == 3 else knee(s), blind=(3,))

    result, _ = tuned(tmp_path, fast)

    assert result["settings"]["pipeline.search_every"] == 2


def test_the_most_helpful_change_alone_is_raced_by_what_it_does_at_the_same_load(tmp_path):
    steady = machine_of(lambda settings: {0: 10, 1: 20, 2: 11}[len(settings)])

    def of(settings):
        def run(cameras, number):
            # At half of the load a hiccup keeps all of them from passing.
            row = steady(settings)(cameras, number)
            return row | {"passed": row["passed"] and (cameras, number) != (5, 0)}

        return run

    result, _ = tuned(tmp_path, of)

    assert len(result["rounds"][-1][0]["settings"]) == 1


def test_defaults_that_nothing_beats_stay(tmp_path):
    result, _ = tuned(tmp_path, machine_of(lambda settings: 4 if settings else 10))

    assert (result["chosen"], result["settings"]) == ("defaults", {})
    assert result["defaults"]["cameras"] == 10


def test_settings_that_won_their_rounds_by_luck_do_not_replace_the_defaults(tmp_path):
    runs = itertools.count()
    lucky = machine_of(lambda settings: 30 if settings and next(runs) < 10 else 10)

    result, _ = tuned(tmp_path, lucky)

    assert result["chosen"] == "defaults"


def test_for_a_given_number_of_cameras_the_least_loaded_settings_win(tmp_path):
    result, journal = tuned(tmp_path, machine_of(knee), cameras=6)

    assert result["settings"]["pipeline.search_every"] == 3
    assert {row["cameras"] for row in journal.rows} == {6}


def test_a_tuning_that_was_broken_off_goes_on_without_doing_anything_twice(tmp_path):
    whole, _ = tuned(tmp_path, machine_of(knee))
    rows = Journal(machine_of(knee), tmp_path / "tuning.json", {"asked": {}}).rows

    def refuse(settings):
        raise AssertionError("nothing is left to be run")

    again, _ = tuned(tmp_path, refuse)

    assert again == whole
    assert len({row["key"] for row in rows}) == len(rows)
    with pytest.raises(ConfigError, match="other settings"):
        Journal(refuse, tmp_path / "tuning.json", {"asked": "else"})


def test_every_change_is_tried_alone_and_what_stands_already_is_none():
    thrifty = with_settings(LIVE, {"pipeline.search_every": 2})

    assert changes(TuneConfig(grid=GRID), thrifty) == [
        {"pipeline.search_every": 1},
        {"pipeline.search_every": 3},
        {"pipeline.batch_size": 8},
    ]


def test_the_grid_is_checked_before_anything_is_measured():
    live = LiveConfig({"view": "x"})

    check_grid(live, TuneConfig())
    assert with_settings(live, {"pipeline.tracker.votes_wanted": 3}).pipeline.tracker.votes_wanted == 3
    for grid, said in (
        ({"pipeline.batch_sise": [8]}, "did you mean 'batch_size'"),
        ({"pipeline.batch_size": [0]}, "batch_size must be at least 1"),
        ({"cameras": [{"a": "b"}]}, "says what is looked at"),
        ({}, "nothing to try"),
        ({"pipeline.batch_size": [32]}, "nothing to try"),
    ):
        with pytest.raises(ConfigError, match=said):
            check_grid(live, TuneConfig(grid=grid))


def test_the_yaml_holds_what_was_changed_and_why():
    told = {"tuned": {"cameras": 15}, "defaults": {"cameras": 10}, "chosen": "tuned"}

    values = yaml.safe_load(tuned_yaml(told | {"settings": {"pipeline.search_every": 2, "threads": None}}))

    assert values["live"] == {"pipeline": {"search_every": 2}, "threads": None}
    assert "15 cameras; the defaults 10" in values["question"]
