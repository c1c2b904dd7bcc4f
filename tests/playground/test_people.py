"""People: the same face whatever it does, landmarks and surface coordinates where they are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.playground.people.identity import identity
from pipelines.playground.render import Rendering, render
from pipelines.playground.scene import HELD_OUT_IDENTITIES, TRAIN_IDENTITIES, Person, Scene, still
from pipelines.playground.vocabulary import EXPRESSIONS, HAIR_STYLES, PERSON_MOTIONS

PERSON = Person(identity=7, expression="smile", motion="turn", size=0.5, phase=0.3)


def draw(person: Person, frames: int = 9, size: int = 128, place: str = "room") -> Rendering:
    return render(Scene(3, place, "static", (person,)), frames, size, size)


def without_glasses(start: int = 0) -> int:
    return next(seed for seed in range(start, start + 100) if not identity(seed).glasses)


def test_a_seed_is_a_person_and_people_differ() -> None:
    assert identity(5) == identity(5)
    people = {identity(seed) for seed in range(300)}
    assert len(people) == 300
    assert {person.hair for person in people} == set(HAIR_STYLES)
    assert not set(TRAIN_IDENTITIES) & set(HELD_OUT_IDENTITIES)


@pytest.mark.parametrize("motion", PERSON_MOTIONS)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_and_motion_is_drawn(expression: str, motion: str) -> None:
    clip = draw(replace(PERSON, expression=expression, motion=motion), frames=3, size=32)
    assert 0.1 < clip.masks[0].mean() < 0.8
    assert np.isfinite(clip.landmarks).all() and np.isfinite(clip.faces).all()


def test_pupils_are_where_the_eyes_are_said_to_be() -> None:
    for seed in range(0, 60, 12):
        person = Person(identity=without_glasses(seed), expression="surprised", motion="still", phase=0.5)
        clip = draw(person, frames=1)
        for x, y in clip.landmarks[0, 0, :2].round().astype(int):
            around = clip.frames[0, y - 2 : y + 3, x - 2 : x + 3].min((0, 1))
            assert around.max() < 80, "the pupil is dark"


def test_surface_and_tracks_agree_while_the_head_turns() -> None:
    for motion in ("turn", "nod", "sway"):
        clip = draw(replace(PERSON, motion=motion))
        seen, checked = clip.visible[0], 0
        for frame, point in np.argwhere(seen):
            x, y = clip.tracks[0, frame, point].round().astype(int)
            here = clip.surface[0, frame, y, x]
            if np.isfinite(here).all() and (here[1] < -5) == (clip.points[0, point, 1] < -5):  # not under the chin
                assert np.abs(here - clip.points[0, point]).max() < 0.12
                checked += 1
        assert checked > 120


def test_the_box_holds_the_landmarks_and_follows_the_person() -> None:
    for motion, sign in (("left", -1), ("right", 1)):
        clip = draw(replace(PERSON, motion=motion, size=0.4))
        box = clip.faces[0]
        inside = (clip.landmarks[0] >= box[:, None, :2] - 1) & (clip.landmarks[0] <= box[:, None, 2:] + 1)
        assert inside.all()
        assert (np.diff(box[:, 0]) * sign > 0).all()


def test_one_identity_in_other_moods_is_other_pixels_of_the_same_person() -> None:
    first, second = draw(PERSON), draw(replace(PERSON, expression="sad", motion="nod", light=0.8))
    assert not np.array_equal(first.frames, second.frames)
    assert {k: first.labels[k] for k in ("hair", "hair colour", "glasses", "beard")} == {
        k: second.labels[k] for k in ("hair", "hair colour", "glasses", "beard")
    }


def test_an_aligned_crop_is_an_upright_face() -> None:
    from insightface.utils.face_align import norm_crop

    scene = still(Scene(3, "room", "static", (replace(PERSON, identity=without_glasses(), phase=0.5),)))
    clip = render(scene, 1, 128, 128)
    crop = norm_crop(np.ascontiguousarray(clip.frames[0]), clip.landmarks[0, 0])
    skin = np.array(identity(scene.subjects[0].identity).skin) * 255
    assert crop.shape == (112, 112, 3)
    cheeks = crop[68:76, [30, 82]].astype(float).mean((0, 1))
    assert np.abs(cheeks / cheeks.sum() - skin / skin.sum()).max() < 0.06
