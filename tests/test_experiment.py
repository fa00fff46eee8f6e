"""One YAML file, one checked experiment."""

import pytest
import yaml

from toolkit.errors import ConfigError
from toolkit.experiment import as_yaml, load_experiment


def written(tmp_path, text: str):
    path = tmp_path / "question.yaml"
    path.write_text(text)
    return path


LIVE = "question: how fast?\nlive:\n  cameras: {door: 'rtsp://me:secret@door.example/1', hall: 0}\n"


def test_an_experiment_is_read_with_its_defaults(tmp_path):
    experiment = load_experiment(written(tmp_path, LIVE))

    assert (experiment.name, experiment.question) == ("question", "how fast?")
    assert experiment.live.cameras == {"door": "rtsp://me:secret@door.example/1", "hall": 0}
    assert experiment.live.camera.realtime
    assert experiment.train is None


def test_a_part_given_in_part_keeps_the_other_defaults_of_its_place(tmp_path):
    experiment = load_experiment(written(tmp_path, LIVE + "  camera: {loop: true}\n"))

    assert experiment.live.camera.loop
    assert experiment.live.camera.realtime


def test_overrides_reach_every_depth(tmp_path):
    path = written(tmp_path, LIVE)
    experiment = load_experiment(path, ["live.pipeline.tracker.votes_wanted=9", "live.duration_s=2.5"])

    assert experiment.live.pipeline.tracker.votes_wanted == 9
    assert experiment.live.duration_s == 2.5


def test_settings_without_a_file_are_enough():
    experiment = load_experiment(settings={"live": {"cameras": {"a": "b.mp4"}}})

    assert experiment.live.cameras == {"a": "b.mp4"}


def test_passwords_and_folders_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("DOOR_PASSWORD", "geheim")
    path = written(tmp_path, "live: {cameras: {door: 'rtsp://viewer:${DOOR_PASSWORD}@door.example/1'}}\n")

    experiment = load_experiment(path)

    assert experiment.live.cameras["door"] == "rtsp://viewer:geheim@door.example/1"
    assert "geheim" not in as_yaml(experiment)
    monkeypatch.delenv("DOOR_PASSWORD")
    with pytest.raises(ConfigError, match="DOOR_PASSWORD"):
        load_experiment(path)


def test_the_environment_names_the_experiment_of_a_notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_EXPERIMENT", str(written(tmp_path, LIVE)))

    assert load_experiment().question == "how fast?"


def test_the_seed_of_the_experiment_is_that_of_its_parts(tmp_path):
    path = written(tmp_path, "seed: 41\ntrain: {epochs: 2}\ncapacity: {}\n")

    assert load_experiment(path).train.seed == load_experiment(path).capacity.seed == 41
    assert load_experiment(path, ["train.seed=5"]).train.seed == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LIVE + "  durations_s: 5\n", r"unknown key 'durations_s'; did you mean 'duration_s'\?"),
        (LIVE + "  pipeline: {batchsize: 5}\n", r"unknown key 'batchsize'; did you mean 'batch_size'\?"),
        (LIVE + "  detector_longest_side_px: 0\n", "detector_longest_side_px must be at least 32, got 0"),
        (LIVE + "  duration_s: soon\n", "live.duration_s: expected a valid number, got 'soon'"),
        (LIVE + "  detector: our\n", "expected 'auto', 'yunet', 'ours' or 'haar', got 'our'"),
        (LIVE + "duration_s: 5\n", r"unknown key 'duration_s'; did you mean 'live.duration_s'\?"),
        ("live: 3\n", "live: expected settings of its own, key: value, got 3"),
        ("live: {detector: ours}\n", "live.cameras: is missing"),
        (LIVE + "  pipeline: {batch_size: 0}\n", "batch_size must be at least 1"),
        ("live: {cameras: {}}\n", "at least one camera"),
        ("live: {cameras: {'a/b': 0}}\n", "letters, digits"),
        ("live: {cameras: {tür: 0}}\n", "made of English letters, digits"),
        ("live: {cameras: {-door: 0}}\n", "begins with a letter or digit, got '-door'"),
        ("just words\n", "must hold keys and values"),
        ("", "holds nothing"),
        ("a: [\n", "not YAML: line 2, column 1"),
    ],
)
def test_a_mistake_is_named_with_what_was_meant(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        load_experiment(written(tmp_path, text))


def test_what_a_setting_must_be_is_said_in_our_words_alone(tmp_path):
    with pytest.raises(ConfigError, match=r"live\.pipeline: batch_size must be at least 1, got 0"):
        load_experiment(written(tmp_path, LIVE), ["live.pipeline.batch_size=0"])


def test_a_missing_file_and_a_broken_override_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file"):
        load_experiment(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="key=value, got 'epochs'"):
        load_experiment(written(tmp_path, LIVE), ["epochs"])
    with pytest.raises(ConfigError, match="question holds a value"):
        load_experiment(written(tmp_path, LIVE), ["question.deep=1"])


def test_nothing_named_is_an_error_that_says_what_to_name(monkeypatch):
    monkeypatch.delenv("TOOLKIT_EXPERIMENT", raising=False)
    with pytest.raises(ConfigError, match="TOOLKIT_EXPERIMENT"):
        load_experiment()


def test_the_resolved_yaml_is_complete_and_holds_no_password(tmp_path):
    text = as_yaml(load_experiment(written(tmp_path, LIVE)))

    assert "secret" not in text
    resolved = yaml.safe_load(text)
    assert resolved["live"]["cameras"]["door"] == "rtsp://***@door.example/1"
    assert resolved["live"]["pipeline"]["batch_size"] == 32


PLACES = """live:
  cameras: {door: door.mp4}
  zones: {door: {till: {polygon: [[0, 0], [1, 0], [1, 1]]}}}
  lines: {door: {gate: {start: [320, 0], end: [320, 360], unit: px}}}
"""


def test_zones_and_lines_belong_to_cameras_by_name(tmp_path):
    live = load_experiment(written(tmp_path, PLACES)).live

    assert live.zones["door"]["till"].polygon == ((0, 0), (1, 0), (1, 1))
    assert live.lines["door"]["gate"].end == (320, 360)
    assert "polygon" in as_yaml(live)


@pytest.mark.parametrize(
    ("wrong", "right", "named"),
    [
        ("polygon:", "polygn:", "did you mean 'polygon'"),
        ("zones: {door", "zones: {dor", "did you mean 'door'"),
        ("till", "the/till", "letters, digits"),
        (", unit: px", "", "for pixels: unit: px"),
    ],
)
def test_a_mistake_in_a_place_is_named(tmp_path, wrong, right, named):
    with pytest.raises(ConfigError, match=named):
        load_experiment(written(tmp_path, PLACES.replace(wrong, right)))
