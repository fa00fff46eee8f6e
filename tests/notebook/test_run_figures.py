"""Figures of recorded runs show their numbers."""

import pandas as pd
import pytest

from toolkit.errors import ConfigError
from toolkit.notebook.run_figures import camera_timeline, latency_over_time, throughput_against_accuracy


def recorded(names, **metrics):
    """Runs as :func:`toolkit.run_frames.run_frame` gives them."""
    first = dict.fromkeys(("experiment", "status", "started", "seconds", "parent"))
    return pd.DataFrame({"run": names, **first, **metrics})


RUNS = recorded(
    ["quick", "right", "neither", "unknown"],
    **{"live/fps": [90.0, 30.0, 20.0, 50.0], "eval/gender_accuracy": [0.8, 0.9, 0.7, None]},
)


def test_a_line_joins_the_runs_that_no_other_beats():
    [axes] = throughput_against_accuracy(RUNS, "live/fps", "eval/gender_accuracy").axes

    front, *points = (line.get_xydata().tolist() for line in axes.lines)
    assert front == [[30.0, 0.9], [90.0, 0.8]]
    assert points[0] == [[20.0, 0.7]]
    assert {text.get_text() for text in axes.texts} == {"quick", "right", "neither"}


def test_runs_of_a_sweep_are_named_by_what_tells_them_apart():
    names = [
        f"sweep: backbone=resnet10t, image_px={px}-20261124-06030{n}" for n, px in enumerate((32, 48, 64))
    ]
    runs = recorded(names, **{"live/fps": [3, 2, 1], "eval/gender_accuracy": [0.7, 0.8, 0.9]})

    [axes] = throughput_against_accuracy(runs, "live/fps", "eval/gender_accuracy").axes

    assert {text.get_text() for text in axes.texts} == {"image_px=32", "image_px=48", "image_px=64"}


def test_runs_that_differ_only_in_when_they_began_keep_their_names():
    names = ["live-20261124-060301", "live-20261124-060302"]
    runs = recorded(names, **{"live/fps": [3, 2], "eval/gender_accuracy": [0.7, 0.8]})

    [axes] = throughput_against_accuracy(runs, "live/fps", "eval/gender_accuracy").axes

    assert {text.get_text() for text in axes.texts} == set(names)


def test_a_metric_that_no_run_has_is_named_with_those_that_are_meant():
    with pytest.raises(ConfigError, match="no run has a metric 'live/fsp'; perhaps live/fps"):
        throughput_against_accuracy(RUNS, "live/fsp", "eval/gender_accuracy")


def test_latency_has_a_line_for_each_percentile():
    rows = [(f"live/latency_p{p}_ms", step, step, p + step) for p in (50, 99) for step in (1, 2)]
    history = pd.DataFrame(rows, columns=["metric", "step", "time_s", "value"])

    [axes] = latency_over_time(history).axes

    lines = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert lines == {"p50": [51, 52], "p99": [100, 101]}
    assert axes.get_ylabel() == "ms from capture to result, since the start"


def test_the_latency_of_each_second_is_drawn_with_a_gap_where_no_result_came():
    now = {1: 50.0, 2: 50.0, 4: 1000.0}
    rows = [("live/latency_p50_ms", step, step, 50.0) for step in (1, 2, 3, 4)]
    rows += [("live/latency_p50_ms_now", step, step, value) for step, value in now.items()]
    history = pd.DataFrame(rows, columns=["metric", "step", "time_s", "value"])

    [axes] = latency_over_time(history).axes

    [line] = axes.lines
    assert {step: value for step, value in line.get_xydata().tolist() if value == value} == now
    assert len(line.get_xydata()) == 4, "the third second has no value"
    assert axes.get_ylabel() == "ms from capture to result"


def test_the_band_of_a_camera_is_cut_by_what_became_of_its_frames():
    counts = pd.DataFrame(
        {
            "camera": ["door", "door", "hall"],
            "from_s": [0, 1, 0],
            "to_s": [1, 2, 1],
            "read": [10, 0, 4],
            "analysed": [5, 0, 4],
            "skipped": [5, 0, 0],
            "failed": [0, 0, 0],
        }
    )

    [axes] = camera_timeline(counts).axes

    heights = [round(-bar.get_height(), 2) for bar in axes.patches[:4]]
    assert heights == [0.4, 0.0, 0.4, 0.0], "half analysed, half skipped; then nothing"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["door", "hall"]


def test_nothing_recorded_has_empty_figures():
    empty = pd.DataFrame(columns=["camera", "from_s", "to_s", "read", "analysed", "skipped", "failed"])

    assert list(camera_timeline(empty).axes[0].patches) == []
    assert list(throughput_against_accuracy(RUNS[3:], "live/fps", "eval/gender_accuracy").axes[0].texts) == []
