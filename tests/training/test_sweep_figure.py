"""Accuracy against speed, drawn."""

from __future__ import annotations

from toolkit.training.sweep_figure import speed_figure, unbeaten


def test_points_that_another_beats_are_not_on_the_line() -> None:
    speeds, values = [100.0, 200.0, 300.0, 150.0, 300.0], [0.9, 0.8, 0.7, 0.75, 0.6]

    assert unbeaten(speeds, values) == [0, 1, 2]


def test_two_panels_show_every_point_by_its_name() -> None:
    rows = [
        {"name": "small", "images_per_s": 900.0, "gender_accuracy": 0.8, "age_group_accuracy": 0.4},
        {"name": "large", "images_per_s": 300.0, "gender_accuracy": 0.9, "age_group_accuracy": 0.5},
    ]

    gender, age = speed_figure(rows).axes

    assert [text.get_text() for text in gender.texts] == ["small", "large"]
    assert gender.get_lines()[0].get_ydata().tolist() == [90.0, 80.0]
    assert age.get_xlabel() == "pictures/s"


def test_a_point_without_a_score_is_not_in_the_panel_of_that_score() -> None:
    rows = [
        {"name": "no ages", "images_per_s": 900.0, "gender_accuracy": 0.8},
        {"name": "all", "images_per_s": 300.0, "gender_accuracy": 0.9, "age_group_accuracy": 0.5},
    ]

    gender, age = speed_figure(rows).axes

    assert [text.get_text() for text in gender.texts] == ["no ages", "all"]
    assert [text.get_text() for text in age.texts] == ["all"]
