"""Labelled scenes: faces of a data set, or drawn ones, as live cameras that know who is to be seen."""

from toolkit.data.scenes.address import is_scene, parse_scene, played_from_film, scene_cameras
from toolkit.data.scenes.compose import Composed, Cutout, Placement, compose
from toolkit.data.scenes.config import SceneConfig
from toolkit.data.scenes.film import SceneFiles
from toolkit.data.scenes.kept import kept_scene
from toolkit.data.scenes.people import Person, cut_out_face, draw_person, make_people, person_of
from toolkit.data.scenes.scene import Scene, make_scene

__all__ = [
    "Composed",
    "Cutout",
    "Person",
    "Placement",
    "Scene",
    "SceneConfig",
    "SceneFiles",
    "compose",
    "cut_out_face",
    "draw_person",
    "is_scene",
    "kept_scene",
    "make_people",
    "make_scene",
    "parse_scene",
    "person_of",
    "played_from_film",
    "scene_cameras",
]
