"""What is made of a decoded picture, beside what FFmpeg makes of it."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from toolkit.live.codec import VideoDecoder
from toolkit.live.pixels import ArrayPixels, Converter, YuvPixels, cut_faces, is_planar, look_at, pixels_of
from toolkit.records import Frame

_BT601, _UNSPECIFIED, _BT709, _BT2020 = 6, 2, 1, 9
_LIMITED, _FULL = 1, 2


def to_bgr(frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="bgr24")


def film_frame(colour_space: int = _BT709, colour_range: int = _LIMITED, size_wh=(322, 182)) -> av.VideoFrame:
    """Smooth colours all over the range, in a size that is no multiple of what decoders pad to."""
    rng = np.random.default_rng(7)
    width, height = size_wh
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, (columns, rows) in zip(
        frame.planes, (size_wh, (width // 2, height // 2), (width // 2, height // 2)), strict=True
    ):
        noise = rng.uniform(0, 255, (5, 7)).astype(np.float32)
        values = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC).clip(16, 235)
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:rows, :columns] = values
    frame.colorspace, frame.color_range = colour_space, colour_range
    return frame


@pytest.mark.parametrize("colour_range", [_LIMITED, _FULL])
@pytest.mark.parametrize("colour_space", [_BT601, _UNSPECIFIED, _BT709, _BT2020])
def test_a_part_has_the_colours_that_ffmpeg_gives_the_whole(colour_space, colour_range):
    frame = film_frame(colour_space, colour_range)
    whole = to_bgr(frame).astype(int)

    part = YuvPixels(frame, to_bgr).region((33, 21, 180, 150))

    difference = np.abs(part - whole[21:150, 33:180])
    assert difference.max() <= 3
    assert difference.mean() < 1.2


@pytest.mark.parametrize("box", [(0, 0, 322, 182), (1, 1, 2, 2), (321, 181, 322, 182), (7, 0, 8, 182)])
def test_a_part_may_lie_anywhere(box):
    left, top, right, bottom = box
    frame = film_frame()

    part = YuvPixels(frame, to_bgr).region(box)

    assert part.shape == (bottom - top, right - left, 3)
    assert np.abs(part - to_bgr(frame)[top:bottom, left:right].astype(int)).max() <= 3


@pytest.mark.parametrize("colour_range", [_LIMITED, _FULL])
@pytest.mark.parametrize("size_wh", [(64, 64), (160, 90), (640, 360)])
def test_another_size_looks_as_if_the_whole_had_been_resized(size_wh, colour_range):
    frame = film_frame(colour_range=colour_range)
    whole = cv2.resize(to_bgr(frame), size_wh, interpolation=cv2.INTER_AREA).astype(int)

    small = YuvPixels(frame, to_bgr).shrunk(size_wh)

    assert small.shape == (size_wh[1], size_wh[0], 3)
    assert np.abs(small - whole).mean() < 2


def test_fine_stripes_are_averaged_and_do_not_alias():
    stripes = np.zeros((180, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    film = av.VideoFrame.from_ndarray(stripes, format="bgr24").reformat(format="yuv420p")

    for pixels in (ArrayPixels(stripes), YuvPixels(film, to_bgr)):
        small = pixels.shrunk((80, 45))
        assert np.abs(small.astype(int) - 127).max() <= 3


def test_a_tile_is_made_of_what_the_detector_saw_and_looks_as_if_it_were_made_of_the_whole():
    shrinks = []

    class Counting(Converter):
        def __call__(self, *args):
            shrinks.append(args)
            return super().__call__(*args)

    frame = film_frame(size_wh=(640, 360))
    pixels = YuvPixels(frame, to_bgr, Counting())
    pixels.shrunk((320, 180))
    tile = pixels.shrunk((160, 90))

    assert len(shrinks) == 1
    assert np.abs(tile.astype(int) - YuvPixels(frame, to_bgr).shrunk((160, 90))).mean() < 3


def test_the_whole_is_made_once_and_only_when_somebody_asks():
    calls = []

    def counted(frame: av.VideoFrame) -> np.ndarray:
        calls.append(frame)
        return to_bgr(frame)

    pixels = YuvPixels(film_frame(), counted)
    pixels.shrunk((64, 64))
    pixels.region((0, 0, 20, 20))
    assert calls == []

    assert pixels.image() is pixels.image()
    assert len(calls) == 1


def test_faces_are_the_same_whether_the_picture_was_converted_before_or_not():
    frame = film_frame()
    boxes = np.array([[40, 30, 90, 85], [300, 100, 340, 150], [5, 5, 5, 9]], np.float32)

    late = cut_faces(Frame("cam", 0, 0.0, YuvPixels(frame, to_bgr)), boxes, margin=0.1)
    early = cut_faces(Frame("cam", 0, 0.0, to_bgr(frame)), boxes, margin=0.1)

    assert [(c.index, c.box_xyxy) for c in late] == [(c.index, c.box_xyxy) for c in early]
    assert [crop.index for crop in late] == [0, 1]
    for a, b in zip(late, early, strict=True):
        assert np.abs(a.image.astype(int) - b.image).max() <= 3


def test_a_frame_is_looked_at_no_larger_than_asked_and_never_enlarged():
    frame = Frame("cam", 0, 0.0, YuvPixels(film_frame(), to_bgr))

    small, scale = look_at(pixels_of(frame), 161)
    same, one = look_at(pixels_of(frame), 4000)

    assert (small.shape, scale) == ((91, 161, 3), 0.5)
    assert (same.shape, one) == ((182, 322, 3), 1.0)
    assert same is frame.image


def test_a_film_with_other_planes_is_converted_as_a_whole(tmp_path):
    path = tmp_path / "film.gif"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8"
        container.mux(stream.encode(av.VideoFrame(64, 48, "rgb8")))
        container.mux(stream.encode())

    with av.open(str(path)) as container:
        decoder = VideoDecoder(container, low_latency=True)
        [frame] = [f for packet in decoder.packets() for f in decoder.decode(packet)]

        assert not is_planar(frame)
        assert decoder.to_pixels(frame).shape == (48, 64, 3)
