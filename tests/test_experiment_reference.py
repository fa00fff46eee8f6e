"""The reference of settings says what the classes say."""

from toolkit.experiment import LiveConfig
from toolkit.experiment_reference import as_markdown, parts_of, settings_of
from toolkit.live.pipeline_config import PipelineConfig


def test_every_part_stands_under_its_dotted_path():
    parts = dict(parts_of())

    assert parts["live"] is LiveConfig
    assert parts["live.pipeline"] is PipelineConfig
    assert "live.zones.NAME.NAME" in parts


def test_a_setting_has_its_type_its_default_and_its_meaning():
    settings = {setting.key: setting for setting in settings_of(LiveConfig)}

    assert settings["duration_s"].kind == "float or None"
    assert settings["duration_s"].default == "null"
    assert settings["duration_s"].meaning.startswith("stop after this long")
    assert (settings["cameras"].default, settings["camera"].default) == ("", "as below")


def test_no_setting_is_without_a_meaning():
    lost = [f"{path}.{s.key}" for path, kind in parts_of() for s in settings_of(kind) if not s.meaning]

    assert lost == []


def test_a_bar_in_a_type_does_not_end_its_cell():
    rows = [line for line in as_markdown().splitlines() if line.startswith("| `")]

    assert {line.replace(r"\|", "").count("|") for line in rows} == {5}
