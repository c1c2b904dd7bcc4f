"""Small clips and portraits of the world to begin with: `python -m pipelines.playground.examples` writes them to `assets/examples`.

All come from training seeds: what is reported is measured on others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.playground.render import render
from pipelines.playground.scene import Person, Scene, Toy, instance, kind_of
from pipelines.video.write import write_clip

FOLDER = Path(__file__).parents[2] / "assets" / "examples"
SIDE, FRAMES, FPS = 128, 17, 8
INSTANCE, ONE, OTHER, THIRD = 20, 31, 22, 57
"""Seeds of the particular toy and of the people shown."""


def examples() -> dict[str, Scene]:
    """File name without its ending -> scene."""
    ball = Toy("ball", "red", "striped", "bounce", 0.44)
    marked = replace(instance(INSTANCE), size=0.52)
    first = Person(ONE, "smile", "turn", clothes="turquoise", light=-0.4)
    second = Person(OTHER, "neutral", "talk", clothes="orange", light=0.3)
    return {
        "red-ball-bounces-meadow": Scene(1, "meadow", "static", (ball,)),
        "star-jumps-beach": Scene(2, "beach", "static", (Toy("star", "yellow", "plain", "jump", 0.44),)),
        "fish-zigzags-ocean": Scene(3, "ocean", "pan right", (Toy("fish", "orange", "striped", "zigzag", 0.42),)),
        "heart-swings-room": Scene(4, "room", "zoom in", (Toy("heart", "pink", "dotted", "swing", 0.42),)),
        "two-toys-forest": Scene(5, "forest", "static", _pair()),
        "marked-toy-spins-mountains": Scene(6, "mountains", "static", (replace(marked, motion="spin"),)),
        "marked-toy-rises-city": Scene(7, "city", "static", (replace(marked, motion="rise"),)),
        "person-turns-room": Scene(8, "room", "static", (first,)),
        "person-talks-beach": Scene(9, "beach", "static", (second,)),
        "back-light-forest": Scene(10, "forest", "static", (replace(first, motion="sway"),), ("back light",)),
        "water-mountains": Scene(11, "mountains", "static", (replace(second, motion="look around"),), ("water",)),
        "rain-meadow": Scene(12, "meadow", "static", (Toy("cube", "red", "checkered", "right", 0.42),), ("rain",)),
    }


def portraits() -> dict[str, tuple[Scene, int, int]]:
    """File name without its ending -> scene, height and width in pixels. Nobody moves in them."""
    alone = Person(THIRD, "smile", "still", clothes="red", light=0.2)
    left = Person(ONE, "smile", "still", 0.45, (-0.55, 0.05), light=-0.4, clothes="turquoise")
    right = Person(OTHER, "neutral", "still", 0.45, (0.55, 0.0), light=0.3, clothes="orange")
    return {
        "person-in-a-meadow": (Scene(13, "meadow", "static", (alone,)), 192, 192),
        "two-people-on-a-beach": (Scene(9, "beach", "static", (left, right)), 176, 256),
    }


def write_portraits(folder: Path = FOLDER) -> list[dict[str, str]]:
    """Write the portraits as PNG and `portraits.json`, a list of {file, caption}, which is returned."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    index = []
    for name, (scene, height, width) in portraits().items():
        seen = render(scene, 1, height, width)
        Image.fromarray(seen.frames[0]).save(folder / f"{name}.png", optimize=True)
        index.append({"file": f"{name}.png", "caption": seen.caption})
    (folder / "portraits.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return index


def _pair() -> tuple[Toy, Toy]:
    behind = Toy("mushroom", "purple", "dotted", "still", 0.34, (-0.42, -0.3))
    return behind, Toy("ring", "white", "striped", "left", 0.32, (0.2, -0.1), reach=1.0)


def write_examples(folder: Path = FOLDER, side: int = SIDE, frames: int = FRAMES) -> list[dict[str, str]]:
    """Write the clips and `index.json`, a list of {file, caption, kind}, which is returned.

    The clips have `frames` frames of `side` x `side` pixels and are mp4 (H.264, yuv420p).
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    for name, scene in examples().items():
        seen = render(scene, frames, side, side)
        write_clip(folder / f"{name}.mp4", seen.frames, FPS)
        index.append({"file": f"{name}.mp4", "caption": seen.caption, "kind": _kind(scene)})
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return index


def _kind(scene: Scene) -> str:
    """What the clip is an example of: "toy", "instance", "toys" or "person", as in `sample_scene`."""
    if len(scene.subjects) > 1:
        return "toys"
    return "instance" if getattr(scene.subjects[0], "emblem", None) is not None else kind_of(scene.subjects[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Write everything and say how large it is."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.playground.examples", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to (default: %(default)s)")
    folder = parser.parse_args(arguments).out
    for row in (*write_examples(folder), *write_portraits(folder)):
        print(f"{row['file']}: {(folder / row['file']).stat().st_size / 1000:.0f} kB, {row['caption']}")


if __name__ == "__main__":
    main()
