"""A whole search on a machine whose knee is known: its record, its picture, and how it is taken up again."""

import json
from pathlib import Path

import pytest

from toolkit.capacity.config import CapacityConfig
from toolkit.capacity.run import load_trials, run_capacity, save_trials, search, summary
from toolkit.cli_capacity import _print_result, _say_kept
from toolkit.errors import ConfigError
from toolkit.experiment import Experiment, as_plain


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """One store for all: MLflow takes a second to make one."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def store(tmp_path, uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return tmp_path


def machine(knee: int, config: CapacityConfig):
    """Late beyond its knee, and the more so the farther."""

    def run(cameras: int, number: int):
        late = cameras > knee
        row = {
            "cameras": cameras,
            "p50_ms": 20.0,
            "p99_ms": 900.0 if late else 40.0,
            "dropped_fraction": 0.3 if late else 0.0,
            "frames_per_s": 25.0 * min(cameras, knee),
            "cpu_ms_per_frame": 8.0,
            "others_cpu": 0.0,
            "streaming_gender_accuracy": 0.5 if late else 0.88,
            "offline_gender_accuracy": 0.89,
        }
        failures = config.failures(row)
        return row | {"failures": failures, "passed": not failures}

    return run


def test_the_answer_is_recorded_drawn_and_sure(store, uri):
    from mlflow import MlflowClient

    config = CapacityConfig(most_cameras=32)
    seen = []

    result = run_capacity(
        Experiment("knee", capacity=config),
        store / "out",
        lambda row, now: seen.append(row["cameras"]),
        lambda: machine(11, config),
    )

    assert (result["cameras"], result["p99_ms"], result["dropped_fraction"]) == (11, 40.0, 0.0)
    assert (result["streaming_gender_accuracy"], result["offline_gender_accuracy"]) == (0.88, 0.89)
    assert (result["cameras_ci95"], result["repeated"]) == ([10, 12], 0)
    assert result["confidence"].startswith("95 % probable: 10 to 12; 11 passed ")
    assert len(result["trials"]) == len(seen)
    assert result["settings"]["capacity"]["most_p99_ms"] == 200.0
    assert (store / "out" / "capacity.png").read_bytes()[:4] == b"\x89PNG"
    run = MlflowClient(uri).get_run(result["mlflow_run_id"])
    assert run.data.metrics["capacity/cameras"] == 11
    json.dumps(result)


def test_in_mlflow_a_search_ends_with_the_figures_of_its_answer(store, uri):
    from mlflow import MlflowClient

    config = CapacityConfig(most_cameras=32)
    experiment = Experiment("knee", capacity=config)

    result = run_capacity(experiment, store / "out", load=lambda: machine(5, config))

    client, run_id = MlflowClient(uri), result["mlflow_run_id"]
    metrics = client.get_run(run_id).data.metrics
    tried = {point.step: point.value for point in client.get_metric_history(run_id, "capacity/trial/p99_ms")}
    assert max(row["cameras"] for row in result["trials"]) > 5
    assert [metrics[f"capacity/{name}"] for name in ("cameras", "p99_ms", "frames_per_s")] == [5, 40, 125]
    assert (tried[5], tried[6]) == (40, 900)


@pytest.mark.parametrize(("runs", "carried"), [(1, 4), (2, 4), (3, 4)])
def test_after_a_few_runs_no_more_is_promised_than_was_seen_to_pass(runs, carried):
    config = CapacityConfig(runs=runs)
    trials = []

    found = search(machine(5, config), config, trials)
    result = summary(trials, found, {})

    assert (result["cameras"], result["p99_ms"], result["passed"], result["runs"]) == (carried, 40.0, 1, 1)
    assert result["cameras_ci95"][0] <= carried < result["cameras_ci95"][1]
    assert result["sure"] < 0.5
    assert "4 passed 1 of 1 runs" in result["confidence"]
    _print_result(result)


def test_an_answer_that_was_not_tried_itself_has_all_its_words_too():
    config = CapacityConfig(runs=1)
    trials = []

    found = search(machine(0, config), config, trials)
    result = summary(trials, found, {})

    assert (result["cameras"], result["p99_ms"], result["runs"]) == (0, None, 0)
    assert result["pass_rate_ci95"] == [0.0, 1.0]
    assert result["confidence"].startswith("95 % probable: 0 to ")
    _print_result(result)


def test_a_search_ended_by_hand_goes_on_where_it_was(tmp_path):
    config = CapacityConfig(first_cameras=8, most_cameras=32)
    path, settings = tmp_path / "trials.json", {"capacity": as_plain(config)}
    trials = []

    def interrupted(row, now):
        save_trials(path, settings, trials)
        if len(trials) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(machine(11, config), config, trials, interrupted)
    kept = load_trials(path, settings)
    more = []
    found = search(machine(11, config), config, kept, lambda *now: more.append(now))

    assert (found.passes, found.next) == (11, None)
    assert kept[:3] == trials
    assert len(more) == len(kept) - 3
    with pytest.raises(ConfigError, match="other settings"):
        load_trials(path, {"capacity": as_plain(CapacityConfig(seconds=9.0))})


def test_a_run_that_others_disturbed_is_made_once_more():
    config, trials, calls = CapacityConfig(), [], iter(range(1000))
    steady = machine(11, config)

    def run(cameras, number):
        # While others compile something, nothing passes.
        is_disturbed = next(calls) == 3
        row = steady(100 if is_disturbed else cameras, number)
        return row | {"cameras": cameras, "others_cpu": 0.4 if is_disturbed else 0.0}

    found = search(run, config, trials)

    assert found.passes == 11
    assert [row["counts"] for row in trials].index(False) == 3
    assert trials[4]["cameras"] == trials[3]["cameras"]
    assert summary(trials, found, {})["repeated"] == 1


def test_where_others_are_always_at_work_they_belong_to_the_machine():
    config, trials = CapacityConfig(), []
    steady = machine(5, config)

    found = search(lambda cameras, number: steady(cameras, number) | {"others_cpu": 0.4}, config, trials)

    assert found.passes == 5
    assert summary(trials, found, {})["repeated"] == 1


@pytest.mark.parametrize("runs", [1, 2, 7])
def test_a_search_ends_after_so_many_runs_whatever_others_do(runs):
    config, trials = CapacityConfig(runs=runs, sure=1.0), []
    steady = machine(5, config)

    def run(cameras, number):
        return steady(cameras, number) | {"others_cpu": 0.0 if number % 2 else 0.4}

    found = search(run, config, trials)

    assert len(trials) == runs
    assert summary(trials, found, {})["repeated"] == runs // 2


def test_ctrl_c_leaves_what_was_measured_and_no_answer(store):
    config = CapacityConfig(first_cameras=8)

    def interrupted(row, now):
        raise KeyboardInterrupt

    result = run_capacity(
        Experiment("knee", capacity=config), store / "out", interrupted, lambda: machine(11, config)
    )

    assert (result["cameras"], result["p99_ms"], len(result["trials"])) == (None, None, 1)
    assert json.loads((store / "out" / "trials.json").read_text())["trials"] == result["trials"]


def test_a_machine_that_carries_nothing_says_why():
    config = CapacityConfig()
    trials = []

    found = search(machine(0, config), config, trials)
    result = summary(trials, found, {})

    assert (result["cameras"], result["p99_ms"]) == (0, 900.0)
    assert result["trials"][-1]["failures"] == [
        "p99 900 ms > 200",
        "dropped 30.0% > 1.0%",
        "gender accuracy 39.0 points below offline > 2.0",
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"runs": 0}, "runs must be at least 1"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"most_dropped": 2.0}, "a share from 0 to 1"),
        ({"seconds": 0.0}, "seconds must be more than 0"),
        ({"warm_up_s": -1.0}, "warm_up_s must be 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        CapacityConfig(**settings)


def test_a_run_without_any_result_or_truth_is_judged_by_what_there_is():
    row = {"p99_ms": None, "dropped_fraction": 0.0}
    row |= {"streaming_gender_accuracy": None, "offline_gender_accuracy": None}

    assert CapacityConfig().failures(row) == ["no frame got a result"]
    assert CapacityConfig().failures(row | {"p99_ms": 12.0}) == []


def test_the_option_that_goes_on_can_be_copied_into_a_shell(capsys):
    _say_kept(Path("my runs"))

    assert capsys.readouterr().err == "runs are kept in my runs; after Ctrl-C, --out 'my runs' goes on\n"
