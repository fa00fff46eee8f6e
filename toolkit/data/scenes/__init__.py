"""Labelled scenes: faces of a data set, or drawn ones, as live cameras that know who is to be seen."""

from toolkit.data.scenes.compose import Composed, Cutout, Placement, compose
from toolkit.data.scenes.config import SceneConfig
from toolkit.data.scenes.people import Person, cut_out_face, draw_person, make_people, person_of
from toolkit.data.scenes.scene import Scene, make_scene

__all__ = [
    "Composed",
    "Cutout",
    "Person",
    "Placement",
    "Scene",
    "SceneConfig",
    "compose",
    "cut_out_face",
    "draw_person",
    "make_people",
    "make_scene",
    "person_of",
]
