"""The gallery is one whole page; the example clips are what their index says."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import imageio.v3 as iio
import numpy as np

from pipelines.playground import examples, gallery
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_IDENTITIES, HELD_OUT_INSTANCES, Person, Scene, caption, sample_scene
from pipelines.playground.truth import show_masks, show_surface, show_tracks
from pipelines.playground.vocabulary import CAMERAS, EFFECTS, MOTIONS, PERSON_MOTIONS, PLACES


class Sources(HTMLParser):
    """Collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attributes if name in ("src", "href") and tag != "a"]


def test_the_gallery_is_one_file_that_fetches_nothing(tmp_path) -> None:
    gallery.main(["--out", str(tmp_path / "page.html"), "--size", "16", "--frames", "2", "--seeds", "5", "6"])
    text = (tmp_path / "page.html").read_text()
    page = Sources()
    page.feed(text)
    assert len(page.found) > 150 and all(source.startswith("data:image/webp;base64,") for source in page.found)
    assert "seed 5" in text and "url(" not in text and "@import" not in text
    assert len(set(re.findall(r"href='#([^']+)'", text)) & set(re.findall(r"id='([^']+)'", text))) == len(gallery.sections())


def test_the_gallery_shows_every_effect_place_motion_and_camera() -> None:
    scenes = [scene for section in gallery.sections() for row in section.rows for _, scene in row]
    assert {effect for scene in scenes for effect in scene.effects} >= set(EFFECTS)
    assert {scene.background for scene in scenes} == set(PLACES)
    assert {scene.camera for scene in scenes} == set(CAMERAS)
    assert {scene.subjects[0].motion for scene in scenes} >= {*MOTIONS, *PERSON_MOTIONS}


def test_ground_truth_is_drawn_on_the_subject_alone() -> None:
    seen = render(sample_scene(3, "toy"), 3, 48, 48)
    off = seen.masks[0] < 0.01
    for picture in (show_masks(seen), show_surface(seen)):
        assert picture.shape == seen.frames.shape and picture.dtype == np.uint8
        assert np.ptp(picture[off].astype(int), axis=-1).max() <= 2  # grey
        assert np.ptp(picture[~off].astype(int), axis=-1).max() > 60
    assert show_tracks(seen).shape == seen.frames.shape


def test_examples_are_written_with_an_index(tmp_path) -> None:
    index = examples.write_examples(tmp_path, side=32, frames=2)
    assert json.loads((tmp_path / "index.json").read_text()) == index
    assert {row["kind"] for row in index} == {"toy", "instance", "toys", "person"}
    assert all(iio.imread(tmp_path / row["file"]).shape == (2, 32, 32, 3) for row in index)


def test_the_example_clips_that_come_along_are_of_this_world_and_of_training_subjects() -> None:
    scenes = examples.examples()
    index = json.loads((examples.FOLDER / "index.json").read_text())
    assert {row["file"]: row["caption"] for row in index} == {f"{name}.mp4": caption(scene) for name, scene in scenes.items()}
    assert {file.name for file in examples.FOLDER.glob("*.mp4")} == {row["file"] for row in index}
    assert sum(file.stat().st_size for file in examples.FOLDER.iterdir()) < 700_000
    assert all(_is_of_training(scene) for scene in scenes.values())
    clip = iio.imread(examples.FOLDER / index[0]["file"])
    drawn = render(scenes[index[0]["file"].removesuffix(".mp4")], examples.FRAMES, examples.SIDE, examples.SIDE).frames
    assert clip.shape == drawn.shape and np.abs(clip.astype(int) - drawn).mean() < 6


def _is_of_training(scene: Scene) -> bool:
    held_out = {*HELD_OUT_INSTANCES, *HELD_OUT_IDENTITIES}
    return not any((one.identity if isinstance(one, Person) else one.emblem) in held_out for one in scene.subjects)
