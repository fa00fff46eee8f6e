"""A live run as Prometheus reads it."""

import re

from fakes import EchoModel, FixedDetector, Opener, picture

from toolkit.live.pipeline import LivePipeline
from toolkit.live.watch import prometheus_text
from toolkit.resources import ResourceMeter

_SAMPLE = re.compile(r'(\w+)(\{(\w+="[^"]*",?)+\})? -?[0-9.e+-]+$')


def test_a_run_is_told_in_samples_that_agree_with_its_statistics():
    opener = Opener(door=[[picture(1), picture(255), picture(2)]])
    with LivePipeline({"door": "door"}, FixedDetector(), EchoModel(), opener=opener) as street:
        assert street.wait(10)
        statistics = street.statistics() | {"resources": ResourceMeter().snapshot()}
    lines = prometheus_text(statistics).splitlines()

    samples = [line for line in lines if not line.startswith("#")]
    assert all(_SAMPLE.match(line) for line in samples)
    assert 'toolkit_live_frames_read_total{camera="door"} 3' in samples
    assert 'toolkit_live_frames_total{camera="door",fate="analysed"} 2' in samples
    assert 'toolkit_live_frames_lost_total{camera="door",cause="ValueError"} 1' in samples
    assert 'toolkit_live_stage_count_total{stage="detect"} 2' in samples
    assert 'toolkit_live_camera_state{camera="door",state="ended"} 1' in samples
    assert any(
        line.startswith('toolkit_live_latency_seconds{camera="door",quantile="0.99"}') for line in samples
    )
    assert any(line.startswith("toolkit_live_cpu_seconds_total ") for line in samples)


def test_each_metric_has_its_help_and_type_once():
    text = prometheus_text({"cameras": {"a": _camera(), "b": _camera()}})

    helps = re.findall(r"# HELP (\w+)", text)
    assert len(helps) == len(set(helps))
    assert re.findall(r"# TYPE (\w+) (?:gauge|counter)", text) == helps


def test_zones_and_lines_are_counted_by_direction():
    places = {
        "zones": {"till": {"inside": 1, "entered": 3, "left": 2, "persons": 3}},
        "lines": {"gate": {"to_left": 4, "to_right": 5}},
    }
    samples = prometheus_text({"cameras": {"door": _camera() | places}}).splitlines()

    assert 'toolkit_live_zone_persons{camera="door",zone="till"} 1' in samples
    assert 'toolkit_live_zone_crossings_total{camera="door",zone="till",direction="left"} 2' in samples
    assert 'toolkit_live_line_crossings_total{camera="door",line="gate",direction="to_right"} 5' in samples


def test_a_run_that_has_not_begun_says_nothing():
    assert prometheus_text({}) == ""


def _camera() -> dict:
    counts = dict.fromkeys(("read", "analysed", "skipped", "failed", "in_flight", "persons"), 0)
    return counts | {"state": "live", "latency_ms": {"p50": None, "p95": None, "p99": None}}
