"""The moving plot, read as the XML it is."""

from xml.etree import ElementTree

import pytest

from toolkit.notebook.live_plot import rates_svg

RATES = {"door": [(0.0, 5.0), (10.0, 10.0), (40.0, 20.0)], "<hall>": [(40.0, 10.0)], "late": []}


def lines(svg: str) -> list[list[tuple[float, float]]]:
    found = ElementTree.fromstring(svg).iter("polyline")
    return [[tuple(map(float, p.split(","))) for p in line.get("points").split()] for line in found]


def test_each_camera_has_a_line_and_its_newest_rate_beside_it():
    svg = rates_svg(RATES)

    assert len(lines(svg)) == 3
    texts = [text.text for text in ElementTree.fromstring(svg).iter("text")]
    assert texts[-3:] == ["door 20.0/s", "<hall> 10.0/s", "late"]


def test_only_the_last_seconds_are_shown_newest_to_the_right():
    door = lines(rates_svg(RATES, last_s=30.0))[0]

    assert len(door) == 2
    assert door[0][0] == pytest.approx(36.0)
    assert door[1][0] == pytest.approx(596.0)


def test_twice_the_rate_stands_twice_as_high():
    door, hall, _ = lines(rates_svg(RATES))
    floor = 138.0

    assert floor - door[-1][1] == pytest.approx(2 * (floor - hall[-1][1]), abs=0.2)


@pytest.mark.parametrize(
    ("rate", "top"), [(0.0, "10"), (10.0, "10"), (11.0, "20"), (73.0, "80"), (450.0, "600")]
)
def test_the_axis_ends_at_a_round_number_above_every_rate(rate, top):
    texts = [text.text for text in ElementTree.fromstring(rates_svg({"door": [(0.0, rate)]})).iter("text")]

    assert top in texts


def test_a_run_that_has_not_begun_has_a_plot_too():
    assert lines(rates_svg({})) == []
