"""Scenes that tests share."""

from toolkit.data.scenes import SceneConfig

FOUND_BY_HAAR = SceneConfig(
    seconds=2.0,
    frames_per_s=10.0,
    width=480,
    height=360,
    face_px=(80.0, 110.0),
    ways="stand",
    turning_deg=0.0,
    persons=3,
    entrances_per_s=4.0,
    seed=7,
)
"""The Haar cascade finds everybody in it, without a file that has to be had first."""
