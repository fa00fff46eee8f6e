"""The sheet a person is put together on: what is laid on it, and how it looks in the end."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from toolkit.data.scenes.compose import Cutout
from toolkit.records import BoxXyxy

FACE_IN_PICTURE = (0.11, -0.07, 0.89, 0.95)
"""Where the face lies in FairFace's pictures, as shares of the side: from ear to ear, and from the hairline,
which most of them cut off, to the chin. Found by looking at a hundred of them; the median of YuNet's boxes on
300 is (0.10, -0.17, 0.88, 0.95). Of heads turned aside it is off by a tenth."""

PICTURE_PX = 112
"""Side of the pictures faces are cut from; FairFace's have it."""

ASIDE_PX, ABOVE_PX, BELOW_PX = 100, 96, 210
"""Room on a sheet around the picture of a face."""


class Seen(NamedTuple):
    """Where a face's picture lies on the sheet, and where the face lies in the picture.

    Attributes:
        left: pixels of the sheet.
        top: likewise.
        wide: of the picture, pixels.
        high: likewise.
        face_in_picture: left, top, right, bottom, shares of its sides.
    """

    left: int
    top: int
    wide: int
    high: int
    face_in_picture: BoxXyxy = FACE_IN_PICTURE

    @property
    def face_xyxy(self) -> BoxXyxy:
        """Box of the face."""
        left, top, right, bottom = self.face_in_picture
        return (
            self.left + left * self.wide,
            self.top + top * self.high,
            self.left + right * self.wide,
            self.top + bottom * self.high,
        )


UPRIGHT = Seen(ASIDE_PX, ABOVE_PX, PICTURE_PX, PICTURE_PX)
"""Of a head seen from in front."""


class Sheet(NamedTuple):
    """A person so far.

    Attributes:
        image: (H, W, 3), uint8, BGR.
        cover: (H, W), float32: 0 where nothing is, 1 where it hides what is behind.
    """

    image: np.ndarray
    cover: np.ndarray

    @classmethod
    def empty(cls) -> Sheet:
        """With room for a head, shoulders and a chest."""
        shape = ABOVE_PX + PICTURE_PX + BELOW_PX, 2 * ASIDE_PX + PICTURE_PX
        return cls(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.float32))

    def lay(self, over: np.ndarray, mask: np.ndarray) -> None:
        """Lay a picture as large as the sheet on what is there, as far as the mask says."""
        # Where nothing is yet, the new colour counts whole: half of it is in the cover already.
        share = mask / np.maximum(np.maximum(mask, self.cover), 1e-6)
        np.copyto(self.image, cv2.blendLinear(over, self.image, share, 1.0 - share))
        np.maximum(self.cover, mask, out=self.cover)

    def part(self, seen: Seen) -> Sheet:
        """What lies there; laying on it changes the whole."""
        rows, columns = slice(seen.top, seen.top + seen.high), slice(seen.left, seen.left + seen.wide)
        return Sheet(self.image[rows, columns], self.cover[rows, columns])

    def cutout(self, face_xyxy: BoxXyxy, rng: np.random.Generator) -> Cutout:
        """As it is to be seen: in a light of its own, some out of focus."""
        image, cover = _lit(self.image, rng), self.cover
        if rng.random() < 0.2:
            blur = float(np.exp(rng.uniform(0, 1.8)))
            # Of what is transparent nothing may run into the rest.
            image = cv2.GaussianBlur(image * (cover[..., None] > 0), (0, 0), blur)
            cover = cv2.GaussianBlur(cover, (0, 0), blur)
        return Cutout.of(image, cover, face_xyxy)


def soft(mask: np.ndarray, least_px: float, most_px: float, rng: np.random.Generator) -> np.ndarray:
    """The mask with an edge as soft as chance has it."""
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(least_px, most_px))), np.float32)


def dyed(part: np.ndarray, colour_bgr: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same stuff in another colour: its light and dark stay."""
    grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY).astype(np.float32)
    relief = ((grey - grey.mean()) / max(8.0, float(grey.std())))[..., None]
    tint = colour_bgr + (colour_bgr.mean() - colour_bgr) * rng.uniform(0, 0.6)
    return np.clip(tint * (1 + rng.uniform(0.1, 0.35) * relief) + 6 * relief, 0, 255).astype(np.uint8)


def _lit(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Under a light of its own: harder or softer, paler, and from one side, mostly from above."""
    steps = np.linspace(0, 1, 256)
    hard = float(np.exp(rng.normal(0.05, 0.25)))
    table = np.clip((steps ** np.exp(rng.normal(0, 0.2)) - 0.5) * hard + 0.5, 0, 1)
    image = cv2.LUT(image, (table * 255).astype(np.uint8))
    if rng.random() < 0.4:
        pale = float(rng.uniform(0.1, 0.7))
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        image = cv2.addWeighted(image, 1 - pale, grey, pale, 0)
    if rng.random() < 0.6:
        angle, strength = rng.normal(0, 0.9), rng.uniform(0.2, 1.1)
        y, x = np.mgrid[0:4, 0:4] / 3.0 - 0.5
        light = 1.0 + strength * (np.sin(angle) * x - np.cos(angle) * y)
        field = cv2.resize(light, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        image = np.clip(image * field[..., None], 0, 255).astype(np.uint8)
    return image
