"""A look at a frame, before the model is asked."""

from __future__ import annotations

import pytest
from fakes import FakeClock, FixedDetector, picture

from toolkit.live.camera import Camera
from toolkit.live.detect import FacesAndBodies
from toolkit.live.lane import Job, Lane
from toolkit.live.look import Look
from toolkit.live.pipeline_config import PipelineConfig
from toolkit.live.source import open_source
from toolkit.live.track import FaceTracker, TrackerConfig
from toolkit.records import Detection, Frame
from toolkit.stats import StageTimes


def looks_at(indices: list[int], detector: FixedDetector, **settings: int) -> list[Job]:
    """Jobs of these frames of a camera of 25 a second; the numbers between them were skipped."""
    config = PipelineConfig(tracker=TrackerConfig(confirm_after=1), **settings)
    lane = Lane(Camera("cam", "cam"), FaceTracker(config.tracker))
    look = Look(detector, config, StageTimes())
    return [look(lane, Frame("cam", index, index / 25, picture(1))) for index in indices]


def searched(jobs: list[Job]) -> list[bool]:
    return [not job.tracks[0].is_predicted for job in jobs]


def test_every_frame_is_searched_while_none_is_skipped():
    detector = FixedDetector()

    looks_at(list(range(10)), detector, detect_every=3)

    assert detector.calls == 10


def test_after_a_gap_frames_pass_without_a_search_and_persons_are_carried_on():
    jobs = looks_at([0, 1, 4, 5, 6, 7, 8], FixedDetector(), detect_every=3)

    assert searched(jobs) == [True, True, True, False, False, True, True]
    assert {track.track_id for job in jobs for track in job.tracks} == {1}


def test_under_lasting_overload_only_every_so_many_th_frame_is_searched():
    jobs = looks_at(list(range(0, 60, 3)), FixedDetector(), detect_every=2)

    assert searched(jobs) == [True, *[True, False] * 9, True]


def test_with_one_every_frame_is_searched_whatever_was_skipped():
    jobs = looks_at([0, 5, 10, 15], FixedDetector(), detect_every=1)

    assert all(searched(jobs))


def test_every_so_many_th_frame_is_searched_where_that_is_asked_for():
    jobs = looks_at(list(range(8)), FixedDetector(), search_every=3)

    assert searched(jobs) == [True, False, False, True, False, False, True, False]


def test_when_to_look_at_a_person_again_goes_by_the_time_of_the_frames():
    jobs = looks_at(list(range(0, 500, 5)), FixedDetector(), detect_every=1)

    # 20 seconds of frames in an instant: five looks at first, then one in two seconds.
    assert 13 <= sum(len(job.crops) for job in jobs) <= 15


def test_people_of_a_recording_are_followed_by_its_own_time_however_slowly_it_is_read(clip_path):
    config = PipelineConfig(tracker=TrackerConfig(confirm_after=1), search_every=2)
    look = Look(lambda images: [[Detection((8.0, 8.0, 40.0, 40.0), 0.9)]], config, StageTimes())
    lane, clock = Lane(Camera("film", "film"), FaceTracker(config.tracker)), FakeClock()
    source, jobs = open_source(clip_path, clock=clock), []

    for _ in range(6):
        jobs.append(look(lane, source.read()))
        clock.advance(60.0)
    source.close()

    assert [[track.track_id for track in job.tracks] for job in jobs] == [[1]] * 6


def test_boxes_of_a_smaller_picture_come_back_in_pixels_of_the_frame():
    class Small(FixedDetector):
        longest_side_px = 32

        def __call__(self, images):
            assert images[0].shape == (24, 32, 3)
            return super().__call__(images)

    [job] = looks_at([0], Small(box_xyxy=(4.0, 4.0, 20.0, 20.0)), smallest_face_px=1)

    assert job.tracks[0].box_xyxy == pytest.approx((8.0, 8.0, 40.0, 40.0))
    assert job.crops[0].shape == (32, 32, 3)


def test_a_detector_that_looks_closer_gets_the_frame_as_it_was_filmed_too():
    class Closer(FixedDetector):
        longest_side_px = 32

        def look_closer(self, images, pictures=None):
            [asked] = pictures
            assert images[0].shape == (24, 32, 3)
            assert asked.size_wh == (64, 48)
            assert asked.region((0, 0, 40, 40)).shape == (40, 40, 3)
            return super().__call__(images)

    for detector in (Closer(), FacesAndBodies(Closer(), FixedDetector())):
        [job] = looks_at([0], detector, smallest_face_px=1)

        assert job.error is None
        assert job.tracks[0].box_xyxy == pytest.approx((16.0, 16.0, 80.0, 80.0))


def test_what_a_detector_raises_is_kept_with_the_frame():
    lane = Lane(Camera("cam", "cam"), FaceTracker(TrackerConfig()))

    job = Look(FixedDetector(), PipelineConfig(), StageTimes())(lane, Frame("cam", 0, 0.0, picture(255)))

    assert isinstance(job.error, ValueError)
    assert len(job.crops) == 0


class FaceAndBodies:
    """A person with a face, and one without."""

    name, longest_side_px = "both", None

    def __call__(self, images):
        bodies = [Detection(box, 0.9, "body") for box in ((2.0, 2.0, 22.0, 46.0), (40.0, 4.0, 60.0, 46.0))]
        return [[Detection((6.0, 4.0, 14.0, 12.0), 0.9), *bodies] for _ in images]


def test_bodies_are_cut_as_they_are_for_a_model_of_their_own_and_only_of_people_without_a_face():
    lane = Lane(Camera("cam", "cam"), FaceTracker(TrackerConfig()))
    frame = Frame("cam", 0, 0.0, picture(1))

    config = PipelineConfig(smallest_face_px=1)
    asked = Look(FaceAndBodies(), config, StageTimes(), asks_bodies=True)(lane, frame)
    lane = Lane(Camera("cam", "cam"), FaceTracker(TrackerConfig()))
    unasked = Look(FaceAndBodies(), config, StageTimes())(lane, frame)

    assert [crop.shape for crop in asked.crops] == [(8, 8, 3), (42, 20, 3)]
    assert [track.track_id for track in asked.asked] == [1, 2]
    assert asked.parts == ["face", "body"]
    assert unasked.parts == ["face"]
    assert len(unasked.tracks) == 2
