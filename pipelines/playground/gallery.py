"""A page that shows the world: `python -m pipelines.playground.gallery --out gallery.html`. One file, nothing is fetched."""

from __future__ import annotations

import argparse
import base64
import html
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.playground.render import Rendering, render
from pipelines.playground.scene import HELD_OUT_IDENTITIES, HELD_OUT_INSTANCES, HELD_OUT_SEEDS, Person, Scene, instance, sample_scene
from pipelines.playground.truth import show_masks, show_surface, show_tracks
from pipelines.playground.vocabulary import CAMERAS, EFFECTS, EXPRESSIONS, MOTIONS, PERSON_MOTIONS, PLACES, SHAPES

FPS = 8
SEEDS = tuple(HELD_OUT_SEEDS[:12])
INSTANCES = tuple(HELD_OUT_INSTANCES[:3])
IDENTITIES = tuple(HELD_OUT_IDENTITIES[:3])

Draw = Callable[[Scene], Rendering]


@dataclass(frozen=True)
class Tile:
    """One clip of the page: `name` over the caption, `picture` on it and `truth` while the pointer is there, (T, H, W, 3) uint8."""

    name: str
    words: str
    picture: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Section:
    """A heading, a sentence and rows of scenes with the names they go by."""

    title: str
    about: str
    rows: Sequence[Sequence[tuple[str, Scene]]]


def sections(seeds: Sequence[int] = SEEDS) -> list[Section]:
    """All of the page but its first row; `seeds` are those of the section of scenes as they are drawn."""
    return [
        Section("Scenes", "As they come: everything drawn from a seed.", [[(f"seed {seed}", sample_scene(seed)) for seed in seeds]]),
        Section("Toys", "Twelve shapes, ten colours, four patterns.", [[(shape, _toy(i, shape=shape)) for i, shape in enumerate(SHAPES)]]),
        Section("Instances", "One particular toy a row. No caption tells what is drawn on it.", [_instance(seed) for seed in INSTANCES]),
        Section("People", "One person a row, seen in several ways.", [_identity(seed) for seed in IDENTITIES]),
        Section("Two toys", "The nearer one hides the other.", [[("two toys", _quiet(seed, "toys")) for seed in HELD_OUT_SEEDS[20:26]]]),
        Section("Effects", "They change the picture, not the mask; only water hides.", [_effects("toy"), _effects("person")]),
        Section("Places", "Ten backgrounds with details of their own for every seed.", [[(p, _place(i, p)) for i, p in enumerate(PLACES)]]),
        Section("Motions", "Of toys, then of people.", [_motions("toy", MOTIONS), _motions("person", PERSON_MOTIONS)]),
        Section("Expressions", "On one face.", [[(name, _expression(name)) for name in EXPRESSIONS]]),
        Section("Cameras", "The camera follows the subject.", [[(camera, replace(_toy(3), camera=camera)) for camera in CAMERAS]]),
    ]


def _quiet(index: int, kind: str, **changes) -> Scene:
    """A drawn scene without effects, the camera at rest."""
    return replace(sample_scene(index, kind), **{"effects": (), "camera": "static", **changes})


def _toy(index: int, background: str | None = None, **changes) -> Scene:
    scene = _quiet(HELD_OUT_SEEDS[100 + index], "toy", background=background or list(PLACES)[index % len(PLACES)])
    return replace(scene, subjects=(replace(scene.subjects[0], size=0.44, **changes),))


def _place(index: int, background: str) -> Scene:
    return _toy(40 + index, background=background, motion="still")


def _instance(seed: int) -> list[tuple[str, Scene]]:
    toy, drawn = instance(seed), [_quiet(HELD_OUT_SEEDS[seed % 1000 * 6 + i], "toy") for i in range(6)]
    kept = {"motion", "place", "phase"}
    moved = [replace(toy, size=0.5, **{name: getattr(scene.subjects[0], name) for name in kept}) for scene in drawn]
    return [(f"instance {seed}", replace(scene, subjects=(one,))) for scene, one in zip(drawn, moved, strict=True)]


def _identity(seed: int) -> list[tuple[str, Scene]]:
    drawn = [_quiet(HELD_OUT_SEEDS[300 + seed % 1000 * 6 + i], "person") for i in range(6)]
    return [(f"person {seed}", replace(scene, subjects=(replace(scene.subjects[0], identity=seed),))) for scene in drawn]


def _effects(kind: str) -> list[tuple[str, Scene]]:
    scenes = [_quiet(HELD_OUT_SEEDS[200 + index], kind) for index in range(len(EFFECTS))]
    return [(effect, replace(scene, effects=(effect,))) for effect, scene in zip(EFFECTS, scenes, strict=True)]


def _motions(kind: str, motions: dict[str, tuple[str, ...]]) -> list[tuple[str, Scene]]:
    scenes = [_quiet(HELD_OUT_SEEDS[60 + index], kind) for index in range(len(motions))]
    return [
        (motion, replace(scene, subjects=(replace(scene.subjects[0], motion=motion),)))
        for motion, scene in zip(motions, scenes, strict=True)
    ]


def _expression(name: str) -> Scene:
    return Scene(HELD_OUT_SEEDS[1], "meadow", "static", (Person(HELD_OUT_IDENTITIES[0], name, "still"),))


def page(draw: Draw, seeds: Sequence[int] = SEEDS) -> Iterator[str]:
    """The page's HTML in pieces; `draw` renders its scenes."""
    shown = sections(seeds)
    style = Path(__file__).with_name("gallery.css").read_text()
    yield f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'><style>{style}</style>"
    yield "<title>The playground's world</title><header><h1>The playground's world</h1><p>Clips drawn by rules, so that everything about "
    yield "them is known exactly: what each caption says, where each subject is, which point of it every pixel shows.</p></header>"
    yield "<nav><div><label><input type='checkbox' id='truth'>Ground truth</label>"
    yield "".join(f"<a href='#{_anchor(section.title)}'>{section.title}</a>" for section in shown) + "</div></nav><main>"
    yield "<section><h2>What is known</h2><p>Picture, masks, surface coordinates, tracks. Point at a clip below to see the last two.</p>"
    for scene in (_toy(3, motion="spin"), _quiet(HELD_OUT_SEEDS[26], "toys"), _quiet(HELD_OUT_SEEDS[302], "person")):
        yield _known(draw(scene))
    yield "</section>"
    for section in shown:
        yield f"<section id='{_anchor(section.title)}'><h2>{section.title}</h2><p>{section.about}</p>"
        for row in section.rows:
            yield "<div class='row'>" + "".join(_figure(_tile(name, draw(scene))) for name, scene in row) + "</div>"
        yield "</section>"
    yield "</main><footer>Every clip: 17 frames, 8 frames per second. All seeds shown are held out.</footer></html>"


def _tile(name: str, seen: Rendering) -> Tile:
    return Tile(name, seen.caption, seen.frames, show_tracks(seen, on=show_surface(seen)))


def _known(seen: Rendering) -> str:
    """A row with what is known of one clip."""
    views = {"picture": seen.frames, "masks": show_masks(seen), "surface": show_surface(seen), "tracks": show_tracks(seen)}
    tiles = [Tile(name, seen.caption if name == "picture" else "", view, view) for name, view in views.items()]
    return "<div class='row four'>" + "".join(_figure(tile) for tile in tiles) + "</div>"


def _figure(tile: Tile) -> str:
    words, name = html.escape(tile.words), html.escape(tile.name)
    images = f"<img alt='{words}' src='{_embed(tile.picture)}'>"
    if tile.truth is not tile.picture:
        images += f"<img class='truth' alt='' src='{_embed(tile.truth)}'>"
    return f"<figure tabindex='0'><div class='stack'>{images}</div><figcaption><b>{name}</b>{words}</figcaption></figure>"


def _embed(clip: np.ndarray) -> str:
    """A data address of an animated WebP of (T, H, W, 3) uint8 frames."""
    pictures = [Image.fromarray(frame) for frame in clip]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=1000 // FPS, loop=0, quality=72, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page and say where and how large it is."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.playground.gallery", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gallery.html"), help="the page to write (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="seeds of the scenes shown first")
    parser.add_argument("--size", type=int, default=96, help="height and width of the clips in pixels (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=17, help="frames of each clip (default: %(default)s)")
    flags = parser.parse_args(arguments)
    draw = partial(render, frames=flags.frames, height=flags.size, width=flags.size)
    flags.out.write_text("".join(page(draw, flags.seeds)), encoding="utf-8")
    print(f"{flags.out}: {flags.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
