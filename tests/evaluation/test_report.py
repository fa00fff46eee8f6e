"""The report is one file, says all in words too, and shows nobody."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from made_tables import made_table

from toolkit.evaluation.calibration import calibration_of
from toolkit.evaluation.comparison import compare
from toolkit.evaluation.confusion import confusion_of
from toolkit.evaluation.fairness import fairness_gaps
from toolkit.evaluation.figures import scores_by_group
from toolkit.evaluation.report import Drawn, drawn, write_report
from toolkit.evaluation.scores import SCORES, score_table
from toolkit.evaluation.values import label_notes
from toolkit.evaluation.words import SCORE_WORDS, difference_interval_text, interval_text, score_text


def result_of(table, resamples: int = 30, **more):
    return score_table(table, resamples) | {
        "subject": "shipped",
        "data": "made",
        "split": "val",
        "data_sha256": "0" * 64,
        "sample_of": None,
        "notes": label_notes(table),
        "gaps": fairness_gaps(table),
        "confusion": confusion_of(table),
        "calibration": calibration_of(table, made_table(50, seed=9)),
        "runtimes": {"shipped": "torch, 1 thread, cpu"},
        "machine": {"machine.cpu": "a <fast> one"},
        **more,
    }


class Page(HTMLParser):
    """What of a page matters here: its pictures, and what it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.images: list[dict[str, str]] = []
        self.fetched: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "img":
            self.images.append(values)
        self.fetched += [values[name] for name in ("src", "href") if name in values]


@pytest.fixture
def words_alone(monkeypatch):
    """Figures are made and not drawn: to draw the eight of a report takes a second."""
    monkeypatch.setattr("toolkit.evaluation.report.drawn", lambda figure, alt: Drawn("", 100, alt))


def test_a_report_holds_its_pictures_with_words_and_fetches_nothing():
    table = made_table(200)

    page = Page(write_report(result_of(table), table))

    assert len(page.images) == 8
    assert all(len(image["alt"]) > 20 for image in page.images)
    assert all(address.startswith("data:image/png;base64,") for address in page.fetched)


@pytest.mark.usefixtures("words_alone")
def test_a_report_shows_each_score_with_its_interval():
    table = made_table(200)
    result = result_of(table)

    html = write_report(result, table, question="how good?")

    assert "how good?" in html
    for name in SCORES:
        assert score_text(result[name], name) in html
        assert interval_text(result["ci95"][name], name) in html


@pytest.mark.usefixtures("words_alone")
def test_a_sample_and_an_early_end_are_said_in_the_report():
    table = made_table(60)
    clean = dict.fromkeys(SCORES, 0.5)
    by_severity = {str(severity): clean for severity in range(1, 6)}
    corruptions = {
        "faces": 60,
        "clean": clean,
        "by_corruption": {"h264": by_severity},
        "mean_fall": {"h264": 0.0},
        "was_interrupted": True,
    }

    html = write_report(result_of(table, sample_of=5000, corruptions=corruptions), table)

    assert re.search(r"A sample:</strong> 60 of 5,000 faces", html)
    assert "Ended early" in html
    assert "H.264" in html


@pytest.mark.usefixtures("words_alone")
def test_a_comparison_is_in_the_report():
    table, other = made_table(100), made_table(100)
    against = {"subject": "b.csv", "scores": score_table(other), "differences": compare(table, other, 20)}

    html = write_report(result_of(table, against=against), table)

    assert "Is it better than b.csv?" in html


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_few_faces_or_none_make_a_report_too(rows):
    table = made_table(5).take(np.arange(rows))

    assert "How good is the shipped model?" in write_report(result_of(table), table)


@pytest.mark.usefixtures("words_alone")
def test_what_is_not_predicted_is_not_drawn():
    table = made_table(80)
    ages = type(table)("ages", table.rows.assign(female_probability=np.nan))

    page = Page(write_report(result_of(ages, resamples=0), ages))

    assert not [image for image in page.images if "gender right" in image["alt"]]
    assert len(page.images) == 5


@pytest.mark.usefixtures("words_alone")
def test_names_from_outside_are_text_in_the_page():
    table = made_table(80)
    table = type(table)("made", table.rows.assign(race="<script>"), table.age_distribution)

    html = write_report(result_of(table), table)

    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "a &lt;fast&gt; one" in html


def test_dollars_in_the_name_of_a_group_are_no_formula():
    table = made_table(30)
    rows = table.rows.assign(race=np.resize([r"$\foo$", "$20k-$50k", "Blue"], 30))
    scores = score_table(type(table)("made", rows))

    figure = scores_by_group(scores["groups"]["race"], scores, {"gender_accuracy": "gender right"})

    assert drawn(figure, "").png


def test_every_score_has_words_and_numbers_are_written_for_people():
    assert [words.name for words in SCORE_WORDS] == [*SCORES]
    assert score_text(0.826, "cs5") == "82.6 %"
    assert score_text(4.526, "age_mae_years") == "4.53"
    assert score_text(None, "ece") == "–"
    assert interval_text([0.815, 0.837], "gender_accuracy") == "81.5 to 83.7 %"
    assert difference_interval_text([-0.0001, 0.04], "cs5") == "0.0 to 4.0 points"
