"""Figures of a run show its numbers."""

import pandas as pd
import pytest

from toolkit.notebook.figures import (
    ages_by_camera,
    as_image,
    latency_by_camera,
    rates_over_time,
    time_by_stage,
)

RATES = pd.DataFrame(
    {
        "time_s": [1, 2, 1, 2],
        "camera": ["hall", "hall", "door", "door"],
        "frames_per_s": [9.0, 10.0, 4.0, 5.0],
    }
)
NO_LATENCY = {"p50": None, "p95": None, "p99": None}


def label(camera: str, track_id: int, gender: str | None, age: float | None) -> dict:
    return {
        "camera": camera,
        "track_id": track_id,
        "gender": gender,
        "age_years": age,
        "age_spread_years": None if age is None else 5.0,
    }


def test_rates_have_a_line_for_each_camera():
    [axes] = rates_over_time(RATES).axes

    lines = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert lines == {"hall": [9.0, 10.0], "door": [4.0, 5.0]}
    assert axes.get_ylim()[0] == 0


def test_latencies_have_three_marks_for_each_camera_with_a_result():
    cameras = {
        "door": {"latency_ms": {"p50": 10.0, "p95": 20.0, "p99": 30.0}},
        "lost": {"latency_ms": NO_LATENCY},
        "hall": {"latency_ms": {"p50": 11.0, "p95": 21.0, "p99": 31.0}},
    }
    [axes] = latency_by_camera({"cameras": cameras}).axes

    marks = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert marks == {"p50": [10.0, 11.0], "p95": [20.0, 21.0], "p99": [30.0, 31.0]}
    assert [text.get_text() for text in axes.get_yticklabels()] == ["door", "hall"]


def test_a_person_is_shown_once_with_the_last_label():
    rows = [
        label("door", 1, None, None),
        label("door", 1, "male", 40.0),
        label("door", 1, "female", 31.0),
        label("hall", 1, "male", 60.0),
        label("hall", 2, None, None),
    ]
    [axes] = ages_by_camera(rows).axes

    ages = {bars.get_label(): bars.lines[0].get_xdata().tolist() for bars in axes.containers}
    assert ages == {"female": [31.0], "male": [60.0]}


def test_people_of_one_camera_stand_apart_and_near_its_name():
    [axes] = ages_by_camera([label("door", n, "male", 30.0) for n in range(4)]).axes

    heights = sorted(axes.containers[0].lines[0].get_ydata())
    assert len(set(heights)) == 4
    assert -0.5 < heights[0] < heights[-1] < 0.5


@pytest.mark.parametrize(
    "figure",
    [
        rates_over_time(RATES[:0]),
        latency_by_camera({"cameras": {"lost": {"latency_ms": NO_LATENCY}}}),
        ages_by_camera([]),
        time_by_stage({"stages": {}}),
    ],
    ids=["rates", "latency", "ages", "stages"],
)
def test_a_run_without_results_has_empty_figures(figure):
    image = as_image(figure, alt="nothing")

    assert image.data.startswith(b"\x89PNG")
    assert image.alt == "nothing"


def test_stages_stand_in_the_order_of_a_frames_way_with_their_mean_and_p99():
    stages = {"arrive": {"mean_ms": 4.0, "p99_ms": 9.0}, "detect": {"mean_ms": 8.0, "p99_ms": 12.0}}
    [axes] = time_by_stage({"stages": stages}).axes

    assert [bar.get_width() for bar in axes.patches] == [4.0, 8.0]
    assert axes.lines[0].get_xdata().tolist() == [9.0, 12.0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["arrive", "detect"]


def test_an_image_has_its_words_where_a_page_looks_for_them():
    shown = as_image(rates_over_time(RATES), alt='Lines: "door" & hall')._repr_mimebundle_()

    assert 'alt="Lines: &quot;door&quot; &amp; hall"' in shown["text/html"]
    assert shown["image/png"].startswith("iVBOR")
    assert shown["text/plain"] == 'Lines: "door" & hall'
