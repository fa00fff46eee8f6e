"""Scenes are named by an address, and a wrong word in it is named with the right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.data.scenes import is_scene, parse_scene, played_from_film, scene_cameras
from toolkit.data.scenes.address import SCENES
from toolkit.errors import ConfigError


def test_an_address_says_which_scene_and_which_camera() -> None:
    config, camera = parse_scene(
        "scene:hall?persons=3&cameras=2&camera=2&face_px=30-60&faces=some/pack&light=0.5"
    )

    assert (config.place, config.persons, config.face_px, camera) == ("hall", 3, (30.0, 60.0), 2)
    assert (config.faces, config.light) == (Path("some/pack"), 0.5)
    assert parse_scene("scene:hall?face_px=30.5-60.").config.face_px == (30.5, 60.0)


def test_a_scene_from_a_server_is_had_from_its_film_too() -> None:
    assert (
        played_from_film("scene:hall?through=rtsp&camera=1&face_px=30-60")
        == "scene:hall?camera=1&face_px=30-60"
    )
    assert played_from_film("scene:hall?through=rtsp") == played_from_film("scene:hall") == "scene:hall"


@pytest.mark.parametrize("name", SCENES)
def test_every_scene_by_name_is_one_that_can_be_made(name: str) -> None:
    assert parse_scene(f"scene:{name}").camera == 1
    assert is_scene(f"scene:{name}")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("scene:hal", "did you mean 'hall'"),
        ("scene:hall?person=3", "did you mean 'persons'"),
        ("scene:hall?persons=many", "persons must be a whole number, got 'many'"),
        ("scene:hall?persons=-1", "persons must be 0 to 10000, got -1"),
        ("scene:hall?face_px=big", "a range such as 40-110"),
        ("scene:hall?face_px=4.5.6", "a range such as 40-110, got '4.5.6'"),
        ("scene:hall?face_px=40-.", "a range such as 40-110"),
        ("scene:hall?seed=-1", "seed must be at least 0, got -1"),
        ("scene:hall?face_px=80-40", "face_px goes from 8 or more"),
        ("scene:hall?ways=up", "ways must be one of across, towards, stand, mixed"),
        ("scene:hall?width=333", "even"),
        ("scene:hall?through=rtsp&jitter_s=1", "through rtsp goes H.264 as it comes"),
        ("scene:hall?camera=2", "cameras 1 to 1, got camera=2"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        parse_scene(address)


def test_cameras_of_one_scene_get_names_and_share_it() -> None:
    cameras = scene_cameras("scene:hall?persons=2&cameras=3&camera=2&backgrounds=a/b")

    assert list(cameras) == ["hall-1", "hall-2", "hall-3"]
    assert {parse_scene(address).config for address in cameras.values()} == {
        parse_scene("scene:hall?persons=2&cameras=3&backgrounds=a/b").config
    }
    assert scene_cameras("scene:room?seed=4") == {"room": "scene:room?seed=4"}
