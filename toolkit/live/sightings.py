"""The faces and bodies of a frame put together: who was seen, and under which number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toolkit.live.bodies import holds, pair_faces
from toolkit.live.person import Person
from toolkit.records import Detection

Sighting = tuple[Detection | None, Detection | None, tuple[Person, ...]]
"""A face, its body, and whose they are: nobody's yet, one person's, or those of two numbers that are one."""


def sightings(
    faces: Sequence[Detection],
    bodies: Sequence[Detection],
    of_face: Mapping[int, Person],
    of_body: Mapping[int, Person],
    start_score: float,
) -> list[Sighting]:
    """Everybody who is in a frame.

    A person's face and body that both go on stay together while the body's box has the face's middle inside;
    else the face leads, and the body is free. What is free is paired by :func:`pair_faces`: a face comes to a
    body's person, a body to a face's, and both begin a new one. Where each has a person of its own they stay
    apart, unless that of the body was never seen with a face, nor that of the face with a body: then they are
    the same, and the older number stays. A weak face that is nobody's comes only to somebody whose face was
    seen before: hands and hair are weak faces in many bodies.

    Args:
        faces: of the frame.
        bodies: likewise.
        of_face: number of a face to the person it continues.
        of_body: number of a body to the person it continues.
        start_score: least score of what is nobody's yet to be somebody.

    Returns:
        First those with a face, in the order of the faces.

    Source: ours.
    """
    body_of = _kept_together(faces, bodies, of_face, of_body)
    led = {of_face[number].track_id for number in of_face}
    taken = set(body_of.values())
    # A body whose face went elsewhere is nobody's.
    owners = {b: p for b, p in of_body.items() if b in taken or p.track_id not in led}
    open_faces = [f for f in range(len(faces)) if f not in body_of]
    open_bodies = [b for b in range(len(bodies)) if b not in taken]
    pairs = pair_faces([faces[f].box_xyxy for f in open_faces], [bodies[b].box_xyxy for b in open_bodies])
    for at, to in pairs:
        face, body = open_faces[at], open_bodies[to]
        is_strong = faces[face].score >= start_score
        if _may_be_one(of_face.get(face), owners.get(body), is_strong):
            body_of[face] = body
    seen: list[Sighting] = []
    for number, detection in enumerate(faces):
        mate = body_of.get(number)
        body_owner = None if mate is None else owners.get(mate)
        seen.append(
            (detection, None if mate is None else bodies[mate], _all(of_face.get(number), body_owner))
        )
    taken = set(body_of.values())
    seen += [(None, body, _all(owners.get(n))) for n, body in enumerate(bodies) if n not in taken]
    return [sighting for sighting in seen if sighting[2] or _best(sighting) >= start_score]


def _kept_together(
    faces: Sequence[Detection],
    bodies: Sequence[Detection],
    of_face: Mapping[int, Person],
    of_body: Mapping[int, Person],
) -> dict[int, int]:
    """Number of a face to the number of its person's body, where they are in one place."""
    body_of_person = {person.track_id: number for number, person in of_body.items()}
    kept = {}
    for face, person in of_face.items():
        body = body_of_person.get(person.track_id)
        if body is not None and holds(bodies[body].box_xyxy, faces[face].box_xyxy):
            kept[face] = body
    return kept


def _may_be_one(of_face: Person | None, of_body: Person | None, is_face_strong: bool) -> bool:
    if of_face is None:
        return is_face_strong or (of_body is not None and of_body.face is not None)
    return of_body is None or (of_face.body is None and of_body.face is None)


def _all(*owners: Person | None) -> tuple[Person, ...]:
    """Each person once."""
    return tuple({owner.track_id: owner for owner in owners if owner is not None}.values())


def _best(sighting: Sighting) -> float:
    return max(found.score for found in sighting[:2] if found is not None)
