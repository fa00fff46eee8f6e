"""People counted as they enter and leave zones, and cross lines."""

import math
from dataclasses import replace

import numpy as np
import pytest

from toolkit.errors import ConfigError
from toolkit.live.overlay import draw_zones
from toolkit.live.people_counter import CountConfig, PeopleCounter
from toolkit.live.zones import LineConfig, ZoneConfig, in_pixels
from toolkit.records import Frame, FrameResult, Track

# The left half of a picture of 200 x 100 pixels, and the line that ends it, seen from below.
LEFT_HALF = ZoneConfig(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
UPWARDS = LineConfig(start=(0.5, 1.0), end=(0.5, 0.0))
SIDE_PX = 20


def result(at_s: float, **people_xy: tuple[float, float]) -> FrameResult:
    """People by number (``p7=(x, y)``), the middle of their faces in pixels."""
    tracks = []
    for name, (x, y) in people_xy.items():
        half = SIDE_PX / 2
        tracks.append(Track(int(name[1:]), (x - half, y - half, x + half, y + half), 0.9, seen=9))
    return FrameResult(Frame("door", 0, at_s, np.zeros((100, 200, 3), np.uint8)), tuple(tracks), at_s)


def counter(margin: float = 0.25, gone_after_s: float = 1.5) -> PeopleCounter:
    config = CountConfig(margin, gone_after_s)
    return PeopleCounter({"door": {"half": LEFT_HALF}}, {"door": {"middle": UPWARDS}}, config)


def walked(xs: list[float], y: float = 50.0) -> dict:
    """The counts after one person was seen at these places, ten times a second."""
    count = counter()
    for step, x in enumerate(xs):
        count(result(step / 10, p1=(x, y)))
    return count.counts("door")


def test_a_walk_through_enters_leaves_and_crosses():
    assert walked([150, 120, 90, 60, 90, 120, 150]) == {
        "zones": {"half": {"inside": 0, "entered": 1, "left": 1, "persons": 1}},
        "lines": {"middle": {"to_left": 1, "to_right": 1}},
    }


def test_left_of_a_line_is_at_the_left_hand_of_who_looks_along_it():
    assert walked([150, 50])["lines"]["middle"] == {"to_left": 1, "to_right": 0}
    assert walked([50, 150])["lines"]["middle"] == {"to_left": 0, "to_right": 1}


def test_who_stands_on_the_line_and_trembles_does_not_count_twice():
    trembling = [100 + 4 * math.sin(step) for step in range(200)]
    counts = walked([150, *trembling, 50])

    assert counts["lines"]["middle"] == {"to_left": 1, "to_right": 0}
    assert counts["zones"]["half"]["entered"] == 1
    assert counts["zones"]["half"]["left"] == 0


def test_who_comes_to_the_line_and_turns_back_has_not_crossed_it():
    assert walked([150, 103, 98, 103, 150])["lines"]["middle"] == {"to_left": 0, "to_right": 0}


def test_the_margin_is_measured_in_faces():
    count = counter(margin=0.0)
    for step, x in enumerate([150, 103, 98, 103, 150]):
        count(result(step / 10, p1=(x, 50)))

    assert count.counts("door")["lines"]["middle"] == {"to_left": 1, "to_right": 1}


def test_a_way_past_the_end_of_a_line_does_not_cross_it():
    short = LineConfig((100.0, 60.0), (100.0, 40.0), unit="px")
    count = PeopleCounter(lines={"door": {"short": short}})
    for step, (x, y) in enumerate([(150, 10), (50, 10), (50, 50), (150, 50)]):
        count(result(step / 10, p1=(x, y)))

    assert count.counts("door")["lines"]["short"] == {"to_left": 0, "to_right": 1}


def test_who_is_first_seen_inside_has_not_entered_and_who_vanishes_there_has_not_left():
    count = counter(gone_after_s=1.0)
    for step in range(5):
        count(result(step / 10, p1=(50, 50)))
    during = count.counts("door")["zones"]["half"]
    count(result(2.0))

    assert during == {"inside": 1, "entered": 0, "left": 0, "persons": 1}
    assert count.counts("door")["zones"]["half"] == {"inside": 0, "entered": 0, "left": 0, "persons": 1}


def test_people_are_counted_apart_and_twice_only_when_they_come_twice():
    count = counter()
    for step, (first, second) in enumerate([(150, 50), (50, 150), (150, 150), (50, 150)]):
        count(result(step / 10, p1=(first, 20), p2=(second, 80)))

    assert count.counts("door") == {
        "zones": {"half": {"inside": 1, "entered": 2, "left": 2, "persons": 2}},
        "lines": {"middle": {"to_left": 2, "to_right": 2}},
    }


def as_recorded(read: FrameResult, media_time_s: float) -> FrameResult:
    """The same, of a recording read as fast as it goes."""
    return replace(read, frame=replace(read.frame, media_time_s=media_time_s, is_live=False))


def test_a_recording_as_fast_as_it_goes_is_counted_by_its_own_time():
    count = counter()
    for step, people in enumerate([{"p1": (150, 50)}, {}, {"p1": (50, 50)}]):
        count(as_recorded(result(60.0 * step, **people), step / 10))

    assert count.counts("door") == walked([150, 50])


def test_whoever_a_recording_showed_is_gone_when_it_is_added_again():
    count = counter()
    for media_time_s, people in ((8.0, {"p1": (50, 50)}), (0.0, {})):
        count(as_recorded(result(60.0, **people), media_time_s))

    assert count.counts("door")["zones"]["half"] == {"inside": 0, "entered": 0, "left": 0, "persons": 1}


def test_a_flash_of_noise_and_other_cameras_do_not_count():
    count = counter()
    for step, x in enumerate([150, 50]):
        seen = result(step / 10, p1=(x, 50))
        noise = Track(1, seen.tracks[0].box_xyxy, 0.9, seen=1, is_confirmed=False)
        count(FrameResult(seen.frame, (noise,), seen.finished_at))
        count(FrameResult(Frame("hall", 0, 0.0, seen.frame.image), seen.tracks, 0.0))

    assert count.counts("door")["lines"]["middle"] == {"to_left": 0, "to_right": 0}
    assert count.counts("hall") == {"zones": {}, "lines": {}}


def test_fractions_follow_a_picture_that_changes_its_size():
    count = counter()
    count(result(0.0, p1=(150, 50)))
    larger = Frame("door", 1, 0.1, np.zeros((200, 400, 3), np.uint8))
    count(FrameResult(larger, (Track(1, (240.0, 90.0, 260.0, 110.0), 0.9, seen=9),), 0.1))

    assert count.counts("door")["zones"]["half"]["entered"] == 0
    assert in_pixels(((0.5, 1.0),), "fraction", (400, 200)).tolist() == [[200.0, 200.0]]


def test_zones_lines_and_counts_are_drawn_at_any_size():
    count = counter()
    count(result(0.0, p1=(50, 50)))
    image = np.zeros((400, 800, 3), np.uint8)

    draw_zones(image, (200, 100), {"half": LEFT_HALF}, {"middle": UPWARDS}, count.counts("door"))

    assert image[200, 399:402].any(), "the line"
    assert image[397:400, 100:390].any(), "the lower border of the zone"
    assert not image[:, 700:].any()


def test_people_of_the_street_video_cross_a_line_in_front_of_them(data_dir):
    from toolkit.live.detect import YuNetDetector
    from toolkit.live.source import open_source
    from toolkit.live.track import FaceTracker

    detector = YuNetDetector(data_dir / "models" / "face_detection_yunet_2026may.onnx", score_threshold=0.3)
    source = open_source(data_dir / "videos" / "street-walking-720p.mp4", camera="street")
    # Two men walk from the middle to the upper right corner, side by side, within the first 130 frames.
    line = LineConfig(start=(0.72, 0.6), end=(0.72, 0.0))
    tracker, count = FaceTracker(), PeopleCounter(lines={"street": {"right": line}})
    while (frame := source.read()) is not None and frame.index < 135:
        at_s = frame.index / 30
        tracks = tracker.update(detector([frame.image])[0], at_s)
        count(FrameResult(Frame("street", frame.index, at_s, frame.image), tuple(tracks), at_s))
    source.close()

    assert count.counts("street")["lines"]["right"] == {"to_left": 0, "to_right": 2}


def test_a_line_that_is_added_leaves_the_counts_of_the_other_places_of_its_camera():
    zones = {"door": {"half": LEFT_HALF}}
    count = PeopleCounter(zones)
    count(result(0.0, p1=(150, 50)))
    count(result(0.1, p1=(50, 50)))

    count.watch(zones, {"door": {"middle": UPWARDS}})
    count(result(0.2, p1=(50, 50)))
    count(result(0.3, p1=(150, 50)))

    assert count.counts("door") == {
        "zones": {"half": {"inside": 0, "entered": 1, "left": 1, "persons": 1}},
        "lines": {"middle": {"to_left": 0, "to_right": 1}},
    }


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: ZoneConfig(((0, 0), (1, 1))), "at least 3"),
        (lambda: ZoneConfig(((0, 0), (640, 0), (640, 480))), "unit: px"),
        (lambda: LineConfig((0.5, 0.5), (0.5, 0.5)), "two ends"),
        (lambda: LineConfig((-5, 0), (10, 0), unit="px"), "not negative"),
        (lambda: LineConfig((5, 0), (10, math.nan), unit="px"), "finite"),
        (lambda: ZoneConfig(((0, 0), (640, 0), (640, math.inf)), unit="px"), "finite"),
        (lambda: CountConfig(margin=-1), "margin"),
        (lambda: CountConfig(gone_after_s=0), "gone_after_s"),
    ],
)
def test_places_that_make_no_sense_are_refused(make, named):
    with pytest.raises(ConfigError, match=named):
        make()
