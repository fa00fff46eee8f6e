"""Results as pictures."""

import numpy as np

from toolkit.live.picture import annotate, blur_boxes, encode_jpeg, label_of, write
from toolkit.records import Frame, FrameResult, Prediction, Track


def noise(height: int = 240, width: int = 320) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


def result_with(track: Track, image: np.ndarray) -> FrameResult:
    return FrameResult(Frame("cam", 0, 0.0, image), (track,), 0.1)


PERSON = Track(3, (100.0, 60.0, 160.0, 120.0), 0.9, 5, Prediction("female", 0.934, 31.4, 6.0), 5)


def test_a_label_says_who_how_sure_and_how_old():
    assert label_of(PERSON) == "#3 female 93%, 31 y"
    assert label_of(Track(4, (0, 0, 1, 1), 0.9, 1)) == "#4"


def test_annotating_leaves_the_frame_untouched_and_blurs_the_face():
    image = noise()
    before = image.copy()

    picture = annotate(result_with(PERSON, image))

    assert np.array_equal(image, before)
    inside = np.s_[70:110, 110:150]
    assert picture[inside].std() < 0.5 * image[inside].std()


def test_blurring_can_be_turned_off():
    image = noise()

    picture = annotate(result_with(PERSON, image), blur_faces=False)

    inside = np.s_[70:110, 110:150]
    assert np.array_equal(picture[inside], image[inside])


def test_a_picture_is_shrunk_with_its_boxes():
    image = noise(480, 640)

    picture = annotate(result_with(PERSON, image), width_px=320)

    assert picture.shape == (240, 320, 3)
    # The box's left edge, drawn at half of 100 px.
    assert np.array_equal(picture[50, 50], picture[45, 50])


def test_a_face_at_the_edge_is_blurred_too():
    image = noise()

    blur_boxes(image, [(-20.0, -20.0, 40.0, 40.0)])

    assert len(np.unique(image[:30, :30].reshape(-1, 3), axis=0)) <= 36


def test_a_text_that_does_not_fit_is_cut_at_the_edges_and_nowhere_else():
    for at in ((300, 3), (-9, 239), (0, 400), (0, -50)):
        image = np.zeros((240, 320, 3), np.uint8)
        write(image, "#3 female 93%, 31 y", at, (255, 255, 255))

        assert (image.max() > 0) == (0 <= at[1] <= 240)

    narrow = np.zeros((40, 30, 3), np.uint8)
    write(narrow, "#3 female 93%, 31 y", (5, 20), (255, 255, 255))
    assert narrow[10:20].max() > 200


def test_a_jpeg_is_a_jpeg():
    assert encode_jpeg(noise())[:3] == b"\xff\xd8\xff"


def test_somebody_seen_only_as_a_body_is_drawn_as_such_with_the_head_hidden():
    image = noise()
    body = Track(
        8, (110.0, 20.0, 134.0, 44.0), 0.9, 5, body_xyxy=(92.0, 20.0, 152.0, 200.0), is_face_seen=False
    )

    picture = annotate(result_with(body, image))

    head, legs = np.s_[24:60, 96:148], np.s_[80:190, 96:148]
    assert label_of(body) == "#8 body"
    assert picture[head].std() < 0.5 * image[head].std()
    assert np.array_equal(picture[legs], image[legs])
    # One pixel wide, and no box around the head.
    assert (picture[100:180, 92] == 170).all()
    assert not (picture[100:180, 91] == 170).all()
    assert np.array_equal(annotate(result_with(body, image), blur_faces=False)[30:40, 110], image[30:40, 110])


def test_a_label_told_from_the_body_says_so():
    body = Track(8, (0, 0, 9, 9), 0.9, 5, Prediction("male", 0.7, 40.0, 9.0), 2, label_part="body")

    assert label_of(body) == "#8 male 70%, 40 y, by body"


def test_where_a_face_is_hardly_that_of_its_body_both_are_hidden():
    image = noise()
    doubtful = Track(8, (140.0, 20.0, 156.0, 36.0), 0.9, 5, body_xyxy=(92.0, 20.0, 152.0, 200.0))

    picture = annotate(result_with(doubtful, image))

    assert picture[24:60, 96:136].std() < 0.5 * image[24:60, 96:136].std()
