"""Weather, light and water over a drawn clip. All work on whole pixels with soft edges; all move in time, seeded by the scene.

An effect is a function (picture (T, H, W, 3), stage) -> picture. What it hides of a subject, `hidden` says; only water does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.playground.paint import blur, noise, smoothstep
from pipelines.playground.subjects import Person

Array = np.ndarray

SECONDS = 2.0
"""Length of a clip, however many frames show it."""

WATERLINE = {"toy": -0.3, "person": -0.62}
"""Height of the water's surface on a subject at rest, in half frame heights above the middle."""


@dataclass(frozen=True)
class Stage:
    """Where an effect takes place.

    Attributes:
        x, y: (1, H, W) screen coordinates in half frame heights, y up.
        time: (T, 1, 1) seconds.
        zoom: (T, 1, 1) of the camera.
        subject: (T, H, W) 0..1, coverage of all subjects together.
        level: height of the water's surface before zoom.
        pixel: size of a pixel in half frame heights.
        seed: varies the details.
    """

    x: Array
    y: Array
    time: Array
    zoom: Array
    subject: Array
    level: float
    pixel: float
    seed: int

    @staticmethod
    def of(scene, masks: Array, zoom: Array) -> Stage:
        """The stage of `scene` with the coverage (N, T, H, W) of its subjects and the camera's magnification (T,)."""
        frames, height, width = masks.shape[1:]
        y = 1 - (np.arange(height, dtype=np.float32) + 0.5) * 2 / height
        x = ((np.arange(width, dtype=np.float32) + 0.5) * 2 / width - 1) * width / height
        time = np.linspace(0, SECONDS, frames) if frames > 1 else np.array([SECONDS / 2])
        kind = "person" if isinstance(scene.subjects[-1], Person) else "toy"
        return Stage(
            x=np.broadcast_to(x, (1, height, width)),
            y=np.broadcast_to(y[:, None], (1, height, width)),
            time=time.astype(np.float32)[:, None, None],
            zoom=zoom.reshape(-1, 1, 1).astype(np.float32),
            subject=masks.sum(0).clip(0, 1),
            level=WATERLINE[kind],
            pixel=2 / height,
            seed=scene.seed,
        )

    def soft(self, distance: Array) -> Array:
        """Opacity of a region given by a signed distance."""
        return np.clip(0.5 - distance / (1.5 * self.pixel), 0, 1)

    def around(self) -> tuple[Array, Array]:
        """(T, 1, 1) each: the middle of the visible subject in screen coordinates, (0, 0) where none is."""
        weight = self.subject.sum((1, 2), keepdims=True) + 1e-6
        return tuple((self.subject * place).sum((1, 2), keepdims=True) / weight for place in (self.x, self.y))


def apply_effects(names: tuple[str, ...], picture: Array, stage: Stage) -> tuple[Array, Array]:
    """`picture` (T, H, W, 3) with the effects laid on in order, and what they hide of the subjects: (T, H, W) 0..1."""
    picture = np.broadcast_to(picture, (*stage.subject.shape, 3))
    for name in names:
        picture = PAINTERS[name](picture, stage)
    return picture, submerged(stage) if "water" in names else np.zeros_like(stage.subject)


@dataclass(frozen=True)
class _Swarm:
    """Particles on a grid of cells whose columns move at speeds of their own: offsets from the nearest one, and its chances.

    Attributes:
        x, y: (T, H, W) offset from the particle of the cell, in half frame heights.
        chance: three arrays (T, H, W) 0..1, the same for a particle all the time.
    """

    x: Array
    y: Array
    chance: tuple[Array, Array, Array]

    @staticmethod
    def of(stage: Stage, seed: int, cell: tuple[float, float], speed: float, slant: float = 0.0, sway: float = 0.0) -> _Swarm:
        """`cell`: width and height of the cells; `speed`: upwards per second; `slant`: sideways per height; `sway`: to and fro."""
        draw = np.random.default_rng((77, stage.seed, seed))
        chances, columns = draw.random((3, 64, 64), np.float32), draw.random((3, 64), np.float32)
        u = np.broadcast_to(stage.x - slant * stage.y, stage.subject.shape) / cell[0] + 31
        column = np.floor(u).astype(np.int32) % 64
        pace, start, phase = (values[column] for values in columns)
        v = (stage.y - speed * (0.8 + 0.4 * pace) * stage.time) / cell[1] + 31 + start
        row = np.floor(v).astype(np.int32) % 64
        a, b, c = (table[row, column] for table in chances)
        swing = sway * np.sin(2 * np.pi * (0.5 * stage.time + phase + 0.2 * v))
        x = ((u % 1) - 0.5 - 0.4 * (a - 0.5)) * cell[0] + swing
        return _Swarm(x, ((v % 1) - 0.5 - 0.3 * (b - 0.5)) * cell[1], (a, b, c))


def _lay(picture: Array, colour, alpha: Array) -> Array:
    return picture + (np.asarray(colour, np.float32) - picture) * alpha[..., None]


def rain(picture: Array, stage: Stage) -> Array:
    """Slanting streaks, the far ones behind the subject, under a grey sky."""
    grey = picture.mean(-1, keepdims=True)
    picture = 0.76 * (0.8 * picture + 0.2 * grey) + np.float32((0.05, 0.06, 0.09))
    for layer, (cell, thick, alpha) in enumerate((((0.17, 0.7), 0.011, 0.40), ((0.26, 0.95), 0.018, 0.62))):
        drops = _Swarm.of(stage, layer, cell, speed=-(1.5 + 0.7 * layer), slant=0.16)
        long = cell[1] * (0.14 + 0.12 * drops.chance[2])
        streak = stage.soft(np.maximum(np.abs(drops.x) - thick, np.abs(drops.y) - long)) * (drops.chance[2] > 0.2)
        picture = _lay(picture, (0.86, 0.91, 0.98), alpha * streak * (1 if layer else 1 - stage.subject))
    return picture


def snowfall(picture: Array, stage: Stage) -> Array:
    """Flakes, small ones behind the subject, larger ones in front, swaying as they fall."""
    picture = 0.9 * picture + 0.06
    for layer, (cell, radius) in enumerate(((0.34, 0.026), (0.46, 0.040), (0.72, 0.060))):
        flakes = _Swarm.of(stage, 10 + layer, (cell, cell), speed=-(0.35 + 0.16 * layer), sway=0.05 + 0.03 * layer)
        size = radius * (0.75 + 0.5 * flakes.chance[2])
        disc = 1 - smoothstep(-1.0, 1.0, (np.hypot(flakes.x, flakes.y) - size) / (0.5 * size + 0.5 * stage.pixel))
        picture = _lay(picture, (1, 1, 1), 0.92 * disc * (1 if layer else 1 - stage.subject))
    return picture


def sparks(picture: Array, stage: Stage) -> Array:
    """Glowing particles that fly up and flicker, and the warm light of the fire they come from."""
    flicker = 1 + 0.12 * np.sin(9 * stage.time + stage.seed) * np.sin(5.3 * stage.time)
    ember = np.exp(-1.7 * (stage.y + 1)) * flicker
    picture = 0.78 * picture + ember[..., None] * np.float32((0.40, 0.16, 0.02))
    for layer, (cell, radius) in enumerate((((0.30, 0.42), 0.018), ((0.46, 0.62), 0.028))):
        motes = _Swarm.of(stage, 20 + layer, cell, speed=0.7 + 0.35 * layer, sway=0.05)
        blink = 0.55 + 0.45 * np.sin(14 * stage.time + 40 * motes.chance[2])
        distance = np.hypot(motes.x, 0.6 * motes.y)
        core = 1 - smoothstep(-1.0, 1.0, (distance - radius) / (0.7 * stage.pixel))
        halo = np.exp(-((distance / (3.2 * radius)) ** 2))
        there = (motes.chance[2] > 0.3) * (1 if layer else 1 - stage.subject) * blink * (1 - 0.35 * smoothstep(-0.2, 1.1, stage.y))
        picture = picture + (0.75 * there * halo)[..., None] * np.float32((1.0, 0.46, 0.08))
        picture = _lay(picture, (1.0, 0.93, 0.62), np.clip(core * there * 1.3, 0, 1))
    return picture


def smoke(picture: Array, stage: Stage) -> Array:
    """Soft puffs that drift and rise, thick behind the subject, thin before it."""
    direction = 1 if stage.seed % 2 else -1
    x, y = stage.x - 0.3 * direction * stage.time, stage.y - 0.22 * stage.time
    puffs = 0.62 * noise(1.5 * x + 9, 1.7 * y + 9, stage.seed + 31) + 0.38 * noise(3.6 * x, 3.8 * y - 0.3 * stage.time, stage.seed + 32)
    shade = 0.58 + 0.36 * smoothstep(0.3, 0.8, noise(2.4 * x + 4, 2.4 * (y - 0.18) + 4, stage.seed + 33))
    thick = smoothstep(0.40, 0.70, puffs + 0.10 * (0.2 - stage.y))
    colour = shade[..., None] * np.float32((0.96, 0.97, 1.0))
    picture = _lay(picture, colour, 0.80 * thick * (1 - stage.subject))
    return _lay(picture, colour, 0.42 * thick * stage.subject)


def purple_light(picture: Array, stage: Stage) -> Array:
    """A coloured lamp at one side that swells and fades: everything darker, purple where it shines, most on edges towards it."""
    side = 1 if stage.seed % 2 else -1
    power = 0.85 + 0.25 * np.sin(2.6 * stage.time + stage.seed)
    reach = smoothstep(-1.5, 1.4, side * stage.x + 0.25 * np.sin(1.9 * stage.time + stage.seed))
    lamp = (0.42 + 0.75 * reach) * power
    grey = picture.mean(-1, keepdims=True)
    lit = (0.75 * picture + 0.25 * grey) * (np.float32((0.36, 0.26, 0.48)) + lamp[..., None] * np.float32((0.52, 0.26, 0.86)))
    edge = np.clip(side * _towards(stage.subject, stage.pixel), 0, 1) * stage.subject * power
    return lit + (0.10 * reach * power)[..., None] * np.float32((0.50, 0.12, 1.0)) + edge[..., None] * np.float32((0.55, 0.22, 0.75))


def _towards(subject: Array, pixel: float) -> Array:
    """(T, H, W) -1..1: how far the subject's round surface faces right, from its blurred outline."""
    wide = blur(subject, 0.14 / pixel)
    return -2.2 * np.gradient(wide, axis=2) * (0.14 / pixel)


def back_light(picture: Array, stage: Stage) -> Array:
    """The sun low behind the subject: its front dark, its outline and hair bright, rays around it."""
    middle = stage.around()
    x, y = stage.x - middle[0], stage.y - middle[1] - 0.25
    power = 0.9 + 0.1 * np.sin(3.1 * stage.time + stage.seed)
    rays = 0.5 + 0.5 * np.cos(9 * np.arctan2(y, x) + 0.7 * stage.time + stage.seed)
    glow = power * np.exp(-1.5 * np.hypot(x, y)) * (0.72 + 0.28 * rays)
    behind = 0.62 * picture + glow[..., None] * np.float32((0.95, 0.78, 0.46))
    narrow, wide = (blur(stage.subject, radius / stage.pixel) for radius in (0.05, 0.14))
    rim = np.clip(1.9 * (1 - narrow), 0, 1) + 0.45 * np.clip(1.5 * (1 - wide), 0, 1)
    front = 0.56 * picture + (rim * power * (0.75 + 0.25 * smoothstep(-0.6, 0.3, y)))[..., None] * np.float32((1.0, 0.84, 0.54))
    return behind + (front - behind) * stage.subject[..., None]


def _surface(stage: Stage) -> Array:
    """(T, 1, W) height of the waves above the level, screen coordinates."""
    x, phase = stage.x[:, :1], stage.seed % 17
    waves = 0.030 * np.sin(5.2 * x + 3.4 * stage.time + phase) + 0.018 * np.sin(9.1 * x - 4.3 * stage.time + 2 * phase)
    return (stage.level + waves) * stage.zoom


def submerged(stage: Stage) -> Array:
    """(T, H, W) 0..1: what is under water."""
    return stage.soft(stage.y - _surface(stage))


def water(picture: Array, stage: Stage) -> Array:
    """Water before the subject: waves, the mirrored picture broken by them, what is below seen faintly, light on the crests."""
    surface, under = _surface(stage), submerged(stage)
    deep = np.clip((surface - stage.y) / (surface + 1.05), 0, 1)
    ripple = np.sin(24 * np.sqrt(deep + 0.02) - 4.2 * stage.time + 2.6 * np.sin(3.1 * stage.x + stage.seed + 1.2 * stage.time))
    mirrored = _look_up(picture, 2 * surface - stage.y + 0.03 * ripple, 0.03 * ripple, stage)
    light = 0.45 + 0.75 * picture.mean((1, 2, 3), keepdims=True)
    body = light * (np.float32((0.16, 0.55, 0.68)) + (np.float32((0.03, 0.22, 0.42)) - np.float32((0.16, 0.55, 0.68))) * deep[..., None])
    mixed = 0.50 * body + 0.26 * mirrored + 0.24 * picture
    mixed = mixed + (0.10 * np.clip(ripple, 0, 1) ** 3)[..., None] * light
    foam = stage.soft(np.abs(stage.y - surface) - 0.012) + 0.5 * stage.soft(np.abs(stage.y - surface + 0.05) - 0.006)
    return _lay(picture + (mixed - picture) * under[..., None], (0.93, 0.98, 1.0), np.clip(0.6 * foam, 0, 1))


def _look_up(picture: Array, y: Array, aside: Array, stage: Stage) -> Array:
    """The picture's colours at screen heights `y` (T, H, W) and a little `aside`."""
    frames, height, width = stage.subject.shape
    row = np.clip(np.round((1 - y) * height / 2 - 0.5), 0, height - 1).astype(np.int32)
    column = np.clip(np.arange(width) + np.round(aside / stage.pixel), 0, width - 1).astype(np.int32)
    return picture[np.arange(frames)[:, None, None], row, column]


PAINTERS: dict[str, Callable[[Array, Stage], Array]] = {
    "rain": rain,
    "smoke": smoke,
    "purple light": purple_light,
    "back light": back_light,
    "water": water,
    "sparks": sparks,
    "snowfall": snowfall,
}
