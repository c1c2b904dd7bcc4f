"""Scenes: drawn evenly, split into training and held out, written down and said in words."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from pipelines.playground.scene import (
    HELD_OUT_IDENTITIES,
    HELD_OUT_INSTANCES,
    HELD_OUT_SEEDS,
    KINDS,
    TRAIN_IDENTITIES,
    TRAIN_INSTANCES,
    TRAIN_SEEDS,
    Person,
    Scene,
    Toy,
    caption,
    sample_scene,
    still,
)
from pipelines.playground.vocabulary import (
    CAMERAS,
    COLOURS,
    EFFECTS,
    EXPRESSIONS,
    HAIR_COLOURS,
    HAIR_STYLES,
    MOTIONS,
    PATTERNS,
    PERSON_MOTIONS,
    PLACES,
    SHAPES,
)

SEEDS = [*range(250), *HELD_OUT_SEEDS[:50]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_survives_json(kind: str) -> None:
    scene = replace(sample_scene(11, kind), effects=("rain", "sparks"))
    written = json.loads(json.dumps(scene.to_dict()))
    assert Scene.from_dict(written) == scene
    assert written["subjects"][0]["kind"] == ("person" if kind == "person" else "toy")


def test_a_scene_written_before_people_and_effects_still_loads() -> None:
    toy = {"shape": "ball", "colour": "red", "pattern": "plain", "motion": "jump", "size": 0.4, "place": [0.1, -0.2], "phase": 0.5}
    scene = Scene.from_dict({"seed": 7, "background": "room", "camera": "static", "subjects": [toy]})
    assert scene == Scene(7, "room", "static", (Toy("ball", "red", "plain", "jump", 0.4, (0.1, -0.2), 0.5),))


def test_a_dictionary_is_left_as_it_is_when_read() -> None:
    written = sample_scene(3, "person").to_dict()
    before = json.dumps(written)
    Scene.from_dict(written)
    assert json.dumps(written) == before


def test_training_and_held_out_are_apart() -> None:
    for train, held_out in (
        (TRAIN_SEEDS, HELD_OUT_SEEDS),
        (TRAIN_INSTANCES, HELD_OUT_INSTANCES),
        (TRAIN_IDENTITIES, HELD_OUT_IDENTITIES),
    ):
        assert not set(train) & set(held_out)


@pytest.mark.parametrize(("seeds", "instances", "identities"), [
    (TRAIN_SEEDS, TRAIN_INSTANCES, TRAIN_IDENTITIES), (HELD_OUT_SEEDS, HELD_OUT_INSTANCES, HELD_OUT_IDENTITIES),
])  # fmt: skip
def test_a_scene_shows_instances_and_identities_of_its_own_split(seeds: range, instances: range, identities: range) -> None:
    for seed in (*seeds[:50], *seeds[-50:]):
        assert sample_scene(seed, "instance").subjects[0].emblem in instances
        assert sample_scene(seed, "person").subjects[0].identity in identities


def test_kinds_and_effects_have_their_shares() -> None:
    scenes = [sample_scene(seed) for seed in range(1000)]
    people = sum(isinstance(scene.subjects[0], Person) for scene in scenes)
    pairs = sum(len(scene.subjects) == 2 for scene in scenes)
    marked = sum(getattr(scene.subjects[0], "emblem", None) is not None for scene in scenes)
    shares = [count / len(scenes) for count in (people, pairs, marked, sum(bool(scene.effects) for scene in scenes))]
    assert shares == pytest.approx([0.25, 0.13, 0.12, 0.35], abs=0.04)


@pytest.mark.parametrize(("kind", "attributes"), [
    ("toy", {"shape": SHAPES, "colour": COLOURS, "pattern": PATTERNS, "motion": MOTIONS, "background": PLACES}),
    ("person", {"expression": EXPRESSIONS, "clothes": COLOURS, "motion": PERSON_MOTIONS, "hair": HAIR_STYLES, "hair colour": HAIR_COLOURS}),
])  # fmt: skip
def test_attributes_are_drawn_evenly(kind: str, attributes: dict) -> None:
    labels = [sample_scene(seed, kind).labels() for seed in range(900)]
    for name, values in attributes.items():
        counts = [sum(row[name] == value for row in labels) for value in values]
        assert sum(counts) == len(labels)
        assert min(counts) > 0.6 * len(labels) / len(counts), name


def test_labels_are_those_of_the_front_subject() -> None:
    scene = sample_scene(5, "toys")
    assert scene.labels()["shape"] == scene.subjects[-1].shape
    assert scene.subjects[0].shape != scene.subjects[1].shape and scene.subjects[0].colour != scene.subjects[1].colour


def says(words: str, ways: tuple[str, ...]) -> bool:
    return any(re.search(rf"\b{re.escape(way)}\b", words) for way in ways if way)


def test_captions_name_what_is_there() -> None:
    for seed in SEEDS:
        scene, words = sample_scene(seed), caption(sample_scene(seed))
        assert says(words, PLACES[scene.background]) and all(says(words, EFFECTS[effect]) for effect in scene.effects)
        assert scene.camera == "static" or says(words, CAMERAS[scene.camera])
        for subject in scene.subjects:
            (_person_is_named if isinstance(subject, Person) else _toy_is_named)(subject, scene, words)


def _toy_is_named(toy: Toy, scene: Scene, words: str) -> None:
    assert toy.shape in words and toy.colour in words and says(words, MOTIONS[toy.motion])
    assert toy.pattern == "plain" or says(words, PATTERNS[toy.pattern])


def _person_is_named(person: Person, scene: Scene, words: str) -> None:
    labels = scene.labels()
    assert says(words, tuple(way.format(labels["hair colour"]) for way in HAIR_STYLES[labels["hair"]]))
    assert ("glasses" in words) == (labels["glasses"] == "yes") and ("beard" in words) == (labels["beard"] == "yes")
    assert person.expression == "neutral" or says(words, EXPRESSIONS[person.expression])
    assert person.motion == "still" or says(words, PERSON_MOTIONS[person.motion])
    assert person.clothes in words


def test_captions_say_nothing_that_labels_do_not() -> None:
    """A particular toy is said like any other one, a person like any other of the same labels."""
    for seed in range(40):
        scene = sample_scene(seed, "instance")
        assert caption(scene) == caption(replace(scene, subjects=(replace(scene.subjects[0], emblem=None),)))
        assert not any(phrase in caption(scene) for effect in set(EFFECTS) - set(scene.effects) for phrase in EFFECTS[effect])
    people = [sample_scene(seed, "person") for seed in range(200)]
    for scene in people[:40]:
        for other in people:
            alike = replace(scene, subjects=(replace(scene.subjects[0], identity=other.subjects[0].identity),))
            if alike.labels() == scene.labels():
                assert caption(alike) == caption(scene)


def test_captions_vary_and_repeat_with_the_seed() -> None:
    for kind in KINDS:
        scene = sample_scene(1, kind)
        ways = {caption(replace(scene, seed=seed)) for seed in range(40)}
        assert len(ways) > 12
        assert caption(scene) == caption(scene)


def test_captions_are_short_and_their_words_few() -> None:
    captions = [caption(sample_scene(seed), moving=bool(seed % 4)) for seed in range(1200)]
    assert max(len(words.split()) for words in captions) <= 30
    vocabulary = {word.strip(",") for words in captions for word in words.split()}
    assert len(vocabulary) < 220
    assert all(word.isalpha() and word.islower() for word in vocabulary)


def test_a_caption_of_a_single_frame_leaves_motion_and_camera_out() -> None:
    moving = [way for ways in (*MOTIONS.values(), *PERSON_MOTIONS.values()) for way in ways if way]
    for seed in SEEDS:
        scene = sample_scene(seed)
        words = caption(scene, moving=False)
        assert "camera" not in words and not says(words, tuple(moving))
        assert says(words, PLACES[scene.background])


def test_a_still_scene_keeps_its_looks() -> None:
    for kind in KINDS:
        scene = sample_scene(4, kind)
        before, after = scene.labels(), still(scene).labels()
        assert after == {**before, "motion": "still", "camera": "static"}
