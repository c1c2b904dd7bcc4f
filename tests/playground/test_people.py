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


def pixels_near(frame: np.ndarray, place: np.ndarray, reach: int) -> np.ndarray:
    """The pixels up to `reach` from (x, y)."""
    x, y = place.round().astype(int)
    return frame[y - reach : y + reach + 1, x - reach : x + reach + 1]


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


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_corners_of_the_mouth_are_where_its_colour_ends(expression: str) -> None:
    seed = next(seed for seed in range(100) if not identity(seed).beard and sum(identity(seed).skin) > 2.0)
    clip = draw(Person(identity=seed, expression=expression, motion="still", size=0.9, place=(0, 0), phase=0.5), frames=1, size=256)
    left, right = clip.landmarks[0, 0, 3:]
    within, beyond = left + 0.12 * (right - left), left - 0.30 * (right - left)
    lips = pixels_near(clip.frames[0], within, 6).reshape(-1, 3).astype(float)
    assert (lips[:, 1] / lips[:, 0]).min() < 0.85 * np.divide(*pixels_near(clip.frames[0], beyond, 2).mean((0, 1))[1::-1])


@pytest.mark.parametrize("light", [-1.0, 1.0])
def test_the_cheek_on_the_side_of_the_light_is_brighter(light: float) -> None:
    seed = next(seed for seed in range(100) if not identity(seed).beard and not identity(seed).freckles)
    clip = draw(Person(identity=seed, expression="neutral", motion="still", phase=0.5, light=light), frames=1)
    a, b = clip.surface[0, 0, ..., 0], clip.surface[0, 0, ..., 1]
    cheeks = [clip.frames[0][(np.abs(a - side * 0.42) < 0.08) & (np.abs(b + 0.3) < 0.08)].mean() for side in (-1, 1)]
    assert (cheeks[1] - cheeks[0]) * light > 8


def test_an_aligned_crop_is_an_upright_face() -> None:
    from insightface.utils.face_align import norm_crop

    scene = still(Scene(3, "room", "static", (replace(PERSON, identity=without_glasses(), phase=0.5),)))
    clip = render(scene, 1, 128, 128)
    crop = norm_crop(np.ascontiguousarray(clip.frames[0]), clip.landmarks[0, 0])
    skin = np.array(identity(scene.subjects[0].identity).skin) * 255
    assert crop.shape == (112, 112, 3)
    cheeks = crop[68:76, [30, 82]].astype(float).mean((0, 1))
    assert np.abs(cheeks / cheeks.sum() - skin / skin.sum()).max() < 0.06
