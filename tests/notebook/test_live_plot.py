"""The moving plots, read as the XML they are."""

from xml.etree import ElementTree

import pytest

from toolkit.notebook.live_plot import bars_plot, lines_plot, side_by_side

RATES = {"door": [(0.0, 5.0), (10.0, 10.0), (40.0, 20.0)], "<hall>": [(40.0, 10.0)], "late": []}


def lines(plot: str) -> list[list[tuple[float, float]]]:
    found = ElementTree.fromstring(plot).iter("polyline")
    return [[tuple(map(float, p.split(","))) for p in line.get("points").split()] for line in found]


def texts(plot: str) -> list[str]:
    return ["".join(part.itertext()).strip() for part in ElementTree.fromstring(plot).iter()]


def test_each_camera_has_a_line_and_its_newest_rate_below_it():
    plot = lines_plot(RATES, "Frames a second", "/s")

    assert len(lines(plot)) == 3
    assert {"Frames a second", "door 20/s", "<hall> 10/s", "late"} <= set(texts(plot))


def test_only_the_last_seconds_are_shown_newest_to_the_right():
    door = lines(lines_plot(RATES, "", last_s=30.0))[0]

    assert len(door) == 2
    assert door[0][0] == pytest.approx(38.0)
    assert door[1][0] == pytest.approx(414.0)


def test_twice_the_rate_stands_twice_as_high():
    door, hall, _ = lines(lines_plot(RATES, ""))
    floor = 112.0

    assert floor - door[-1][1] == pytest.approx(2 * (floor - hall[-1][1]), abs=0.2)


@pytest.mark.parametrize(
    ("rate", "top"), [(0.0, "10"), (10.0, "10"), (11.0, "20"), (73.0, "80"), (450.0, "600")]
)
def test_the_axis_ends_at_a_round_number_above_every_rate(rate, top):
    assert top in texts(lines_plot({"door": [(0.0, rate)]}, ""))


def test_a_peak_that_has_left_the_plot_no_longer_sets_its_axis():
    assert "10" in texts(lines_plot({"door": [(0.0, 450.0), (100.0, 4.0)]}, "", last_s=30.0))


def test_sixteen_cameras_are_told_apart_by_colour_and_dash():
    found = ElementTree.fromstring(lines_plot({str(n): [(0.0, 1.0)] for n in range(16)}, ""))

    looks = {(line.get("stroke"), line.get("stroke-dasharray")) for line in found.iter("polyline")}
    assert len(looks) == 16


def test_bars_stand_as_high_as_they_count_and_carry_their_numbers():
    plot = bars_plot({"1": 10, "2": 40, "3-4": 0}, "Sizes of batches")
    low, high, none = (float(bar.get("height")) for bar in ElementTree.fromstring(plot).iter("rect"))

    assert (high, none) == (pytest.approx(4 * low, abs=0.2), 0.0)
    assert {"3-4", "40"} <= set(texts(plot))


def test_a_run_that_has_not_begun_has_plots_too():
    assert lines(lines_plot({}, "")) == []
    assert "none yet" in texts(bars_plot({}, ""))
    assert len(list(ElementTree.fromstring(side_by_side([lines_plot({}, ""), bars_plot({}, "")])))) == 2
