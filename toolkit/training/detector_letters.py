"""Words in real typefaces, as on shop fronts, clothes and vans: round bold letters look like faces."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_DRAWN_PX = 96
TYPEFACES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "cmss10",
    "cmb10",
)
"""They come with matplotlib, so that no machine lacks them."""


def put_word(
    image: np.ndarray,
    word: str,
    left_top: tuple[int, int],
    high_px: int,
    colour: tuple[int, ...],
    rng: np.random.Generator,
) -> None:
    """Write a word onto a picture, in place; what lies beyond its edges is left out.

    Args:
        image: (H, W, 3), uint8, BGR.
        word: at least one character that leaves ink.
        left_top: of the ink, pixels; may lie outside.
        high_px: of the ink, from the highest letter to the lowest.
        colour: of the ink, BGR.
        rng: chooses the typeface, and how wide the letters are.
    """
    ink = ink_of(word, str(rng.choice(TYPEFACES)))
    wide_px = max(1, round(ink.shape[1] * high_px / ink.shape[0] * rng.uniform(0.7, 1.3)))
    (left, top), (height, width) = left_top, image.shape[:2]
    rows, columns = slice(max(0, -top), height - top), slice(max(0, -left), width - left)
    if min(rows.stop, columns.stop) <= 0 or rows.start >= high_px or columns.start >= wide_px:
        return
    share = cv2.resize(ink, (wide_px, high_px), interpolation=cv2.INTER_AREA)[rows, columns, None]
    under = image[max(0, top) : top + high_px, max(0, left) : left + wide_px]
    under[:] = under + share * (np.array(colour, np.float32) - under)


def ink_of(word: str, typeface: str) -> np.ndarray:
    """(H, W), float32, 0..1: the word without any rim."""
    font = _font(typeface)
    box = font.getbbox(word)
    paper = Image.new("L", (max(1, round(box[2] - box[0])), max(1, round(box[3] - box[1]))))
    ImageDraw.Draw(paper).text((-box[0], -box[1]), word, fill=255, font=font)
    return np.asarray(paper, np.float32) / 255


@functools.cache
def _font(typeface: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{typeface}.ttf"), _DRAWN_PX)
