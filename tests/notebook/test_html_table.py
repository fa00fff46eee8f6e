"""Frames as HTML tables."""

from xml.etree import ElementTree

import pandas as pd

from toolkit.notebook.html_table import table_as_html


def cells(page: str) -> list[list[str]]:
    rows = ElementTree.fromstring(page).iter("tr")
    return [["".join(cell.itertext()) for cell in row] for row in rows]


def test_a_table_has_its_names_and_a_dash_for_what_is_missing():
    table = pd.DataFrame({"state": ["<live>", "lost"], "fps": [12.345, None]}, index=["door", "hall"])
    whole = pd.DataFrame({"inside": pd.array([3, None], dtype="Int64")}, index=["a", "b"])

    assert cells(table_as_html(table.rename_axis(columns="camera"))) == [
        ["camera", "state", "fps"],
        ["door", "<live>", "12.3"],
        ["hall", "lost", "-"],
    ]
    assert cells(table_as_html(whole)) == [["", "inside"], ["a", "3"], ["b", "-"]]


def test_a_cell_may_look_as_what_it_says():
    table = pd.DataFrame({"state": ["live", "lost"]})
    page = table_as_html(table, lambda column, value: "color: red" if value == "lost" else "")

    assert page.count("color: red") == 1


def test_an_empty_table_shows_its_columns():
    assert cells(table_as_html(pd.DataFrame(columns=["read"]))) == [["", "read"]]
