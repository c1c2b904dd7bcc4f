"""Ten places, painted from far to near. Every layer is a function of world coordinates, so that a camera can move over it.

Coordinates: x right and y up in half frame heights, the frame at rest spans y in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipelines.playground.paint import cells, gradient, noise, over, smoothstep

Array = np.ndarray


@dataclass(frozen=True)
class View:
    """The camera's rays.

    Attributes:
        x, y: (T, H, W) screen coordinates in half frame heights.
        shift, zoom: (T, 1, 1) of the camera.
        pixel: size of a pixel in the same units, for soft edges.
        seed: varies the details.
    """

    x: Array
    y: Array
    shift: Array
    zoom: Array
    pixel: float
    seed: int

    def first(self) -> View:
        """The first frame alone: all there is to paint when the camera rests."""
        return replace(self, x=self.x[:1], y=self.y[:1], shift=self.shift[:1], zoom=self.zoom[:1])

    def layer(self, depth: float) -> tuple[Array, Array]:
        """World coordinates of a layer; `depth` 0 is infinitely far, 1 is where the subject is."""
        scale = 1 + (self.zoom - 1) * depth
        return self.x / scale + self.shift * depth + 7.3 + self.seed % 97 * 0.37, self.y / scale

    def inside(self, distance: Array) -> Array:
        """Opacity of a region given by a signed distance."""
        return np.clip(0.5 - distance / (1.5 * self.pixel), 0, 1)


def _hills(view: View, depth: float, base: float, height: float, spread: float, seed: int) -> Array:
    """Opacity of a rolling ridge."""
    x, y = view.layer(depth)
    ridge = base + height * (2 * noise(x / spread, np.zeros_like(x), view.seed + seed) - 1)
    return view.inside(y - ridge)


def _ground(view: View, canvas: Array, top: float, near, far, grain: float, seed: int) -> Array:
    """A textured floor from `top` down, `far` colour at the horizon and `near` at the lower edge."""
    x, y = view.layer(0.9)
    fade = smoothstep(-1.1, top, y)[..., None]
    colour = np.asarray(near, np.float32) * (1 - fade) + np.asarray(far, np.float32) * fade
    texture = noise(x * 7, y * 16, view.seed + seed) - 0.5
    return over(canvas, np.clip(colour + grain * texture[..., None], 0, 1), view.inside(y - top))


def _sky(view: View, low, high) -> Array:
    return gradient(view.y, [(-0.4, low), (1.0, high)])


def _clouds(view: View, canvas: Array, colour=(1, 1, 1), amount: float = 0.8) -> Array:
    x, y = view.layer(0.15)
    thick = noise(x * 1.4, y * 3.2, view.seed + 5) * 0.65 + noise(x * 3.3, y * 6.5, view.seed + 6) * 0.35
    return over(canvas, colour, amount * smoothstep(0.56, 0.72, thick) * smoothstep(0.05, 0.45, y))


def _firs(view: View, canvas: Array, colour, depth: float, spacing: float, foot: float, size: float, seed: int) -> Array:
    """A row of conical trees."""
    x, y = view.layer(depth)
    offset, a, b = cells(x, spacing, view.seed + seed)
    tall = size * (0.65 + 0.5 * a)
    rise = (y - foot) / tall
    tier = 0.34 * tall * (1 - rise) * (0.75 + 0.25 * (rise * 3.0 % 1.0 < 0.55))
    inside = view.inside(np.abs(offset + (b - 0.5) * spacing * 0.3) - tier) * (rise > 0) * (rise < 1)
    shade = np.asarray(colour, np.float32) * (0.85 + 0.3 * (1 - smoothstep(-0.1, 0.1, offset)))[..., None]
    return over(canvas, np.clip(shade, 0, 1), inside)


def meadow(view: View) -> Array:
    canvas = _clouds(view, _sky(view, (0.78, 0.91, 0.98), (0.30, 0.60, 0.93)))
    canvas = over(canvas, (0.50, 0.72, 0.56), _hills(view, 0.25, 0.02, 0.2, 0.9, 1))
    canvas = over(canvas, (0.38, 0.66, 0.34), _hills(view, 0.45, -0.14, 0.16, 1.2, 2))
    canvas = _ground(view, canvas, -0.3, (0.28, 0.58, 0.20), (0.52, 0.78, 0.34), 0.16, 3)
    x, y = view.layer(0.9)
    offset, a, b = cells(x, 0.34, view.seed + 9)
    bloom = np.hypot(offset + (b - 0.5) * 0.2, y + 0.45 + 0.5 * a) - 0.035
    return over(canvas, (0.99, 0.93, 0.72), view.inside(bloom))


def beach(view: View) -> Array:
    canvas = _clouds(view, _sky(view, (0.93, 0.95, 0.90), (0.42, 0.74, 0.95)))
    x, y = view.layer(0.5)
    waves = 0.5 + 0.5 * np.sin(40 * y + 3 * noise(x * 2, y * 3, view.seed))
    sea = np.asarray((0.08, 0.50, 0.66), np.float32) + 0.13 * waves[..., None]
    canvas = over(canvas, sea, view.inside(y - 0.08))
    shore = -0.32 + 0.05 * np.sin(2.2 * x + view.seed)
    canvas = over(canvas, (0.97, 0.98, 0.96), view.inside(np.abs(y - shore) - 0.035))
    return over(canvas, _ground(view, canvas, 2.0, (0.86, 0.72, 0.48), (0.97, 0.89, 0.68), 0.1, 4), view.inside(y - shore))


def desert(view: View) -> Array:
    canvas = _sky(view, (0.99, 0.84, 0.58), (0.93, 0.56, 0.34))
    x, y = view.layer(0.05)
    canvas = over(canvas, (1.0, 0.95, 0.75), view.inside(np.hypot(x - x.mean() - 0.5, y - 0.52) - 0.17))
    canvas = over(canvas, (0.84, 0.52, 0.32), _hills(view, 0.25, 0.0, 0.22, 1.3, 1))
    canvas = over(canvas, (0.91, 0.64, 0.38), _hills(view, 0.5, -0.2, 0.16, 1.6, 2))
    x, y = view.layer(0.9)
    ripples = 0.05 * np.sin(26 * y + 5 * noise(x * 1.2, y * 2, view.seed + 3))
    return np.clip(_ground(view, canvas, -0.36, (0.87, 0.58, 0.30), (0.98, 0.78, 0.48), 0.05, 3) + (ripples * (y < -0.36))[..., None], 0, 1)


def forest(view: View) -> Array:
    canvas = _sky(view, (0.62, 0.76, 0.58), (0.28, 0.46, 0.38))
    canvas = _firs(view, canvas, (0.27, 0.45, 0.36), 0.3, 0.42, -0.3, 1.25, 1)
    canvas = _firs(view, canvas, (0.14, 0.33, 0.24), 0.55, 0.66, -0.4, 1.45, 2)
    return _ground(view, canvas, -0.36, (0.22, 0.17, 0.09), (0.36, 0.40, 0.16), 0.16, 3)


def city(view: View) -> Array:
    canvas = _sky(view, (0.98, 0.66, 0.48), (0.30, 0.24, 0.50))
    for depth, spacing, colour, base in ((0.25, 0.34, (0.42, 0.32, 0.50), 0.35), (0.55, 0.52, (0.22, 0.20, 0.34), 0.15)):
        x, y = view.layer(depth)
        offset, a, _ = cells(x, spacing, view.seed + int(depth * 100))
        tower = np.maximum(np.abs(offset) - spacing * 0.42, y - (base + 0.6 * a - 0.3))
        canvas = over(canvas, colour, view.inside(tower))
        pane = np.maximum(np.abs((offset + 5) % 0.11 - 0.055) - 0.028, np.abs((y + 5) % 0.15 - 0.075) - 0.04)
        lit = noise(np.floor((x + 5) / 0.11) * 3.7, np.floor((y + 5) / 0.15) * 5.3, view.seed + 8) > 0.5
        canvas = over(canvas, (1.0, 0.86, 0.5), view.inside(np.maximum(pane, tower + 0.04)) * lit)
    canvas = _ground(view, canvas, -0.38, (0.20, 0.20, 0.25), (0.34, 0.31, 0.38), 0.05, 3)
    x, y = view.layer(0.9)
    dash = np.maximum(np.abs(y + 0.72) - 0.028, np.abs((x % 0.6) - 0.3) - 0.16)
    return over(canvas, (0.9, 0.86, 0.7), view.inside(dash))


def night(view: View) -> Array:
    canvas = _sky(view, (0.16, 0.20, 0.42), (0.03, 0.04, 0.16))
    x, y = view.layer(0.05)
    for row in range(6):
        offset, a, b = cells(x + row * 1.37, 0.3, view.seed + row)
        star = np.hypot(offset + (b - 0.5) * 0.2, y - (0.05 + 0.16 * row + 0.1 * a)) - (0.012 + 0.018 * b)
        canvas = over(canvas, (1, 1, 0.92), view.inside(star))
    canvas = over(canvas, (0.09, 0.12, 0.27), _hills(view, 0.3, -0.1, 0.2, 0.9, 1))
    return _ground(view, canvas, -0.4, (0.05, 0.08, 0.13), (0.10, 0.17, 0.24), 0.06, 3)


def snow(view: View) -> Array:
    canvas = _sky(view, (0.90, 0.94, 0.98), (0.60, 0.75, 0.90))
    canvas = over(canvas, (0.80, 0.87, 0.94), _hills(view, 0.25, 0.08, 0.24, 0.8, 1))
    canvas = _firs(view, canvas, (0.28, 0.44, 0.46), 0.45, 0.62, -0.28, 0.75, 2)
    return _ground(view, canvas, -0.26, (0.84, 0.89, 0.95), (0.97, 0.98, 1.0), 0.06, 3)


def room(view: View) -> Array:
    x, y = view.layer(0.6)
    wall = np.where((np.sin(x * 13) > 0)[..., None], np.float32((0.86, 0.79, 0.69)), np.float32((0.90, 0.84, 0.75)))
    pane = np.maximum(np.abs((x % 2.2) - 1.1) - 0.34, np.abs(y - 0.42) - 0.36)
    canvas = over(wall, (0.98, 0.97, 0.94), view.inside(pane - 0.06))
    canvas = over(canvas, gradient(y, [(0.0, (0.82, 0.92, 0.98)), (0.8, (0.48, 0.72, 0.95))]), view.inside(pane))
    canvas = over(canvas, (0.98, 0.97, 0.94), view.inside(np.maximum(pane, np.minimum(np.abs((x % 2.2) - 1.1), np.abs(y - 0.42)) - 0.025)))
    x, y = view.layer(0.9)
    floor = np.float32((0.62, 0.40, 0.23)) + (0.12 * (noise(x * 2, np.floor(y * 9) * 3.1, view.seed) - 0.5))[..., None]
    floor = over(floor, (0.42, 0.26, 0.14), view.inside(np.abs((y * 9) % 1 - 0.5) - 0.06))
    canvas = over(canvas, floor, view.inside(y + 0.36))
    return over(canvas, (0.97, 0.95, 0.92), view.inside(np.abs(y + 0.33) - 0.045))


def ocean(view: View) -> Array:
    canvas = _sky(view, (0.03, 0.22, 0.42), (0.16, 0.68, 0.80))
    x, y = view.layer(0.2)
    rays = noise((x + 0.5 * y) * 2.6, np.zeros_like(x), view.seed) ** 2
    canvas = over(canvas, (0.72, 0.96, 0.98), 0.45 * rays * smoothstep(-0.5, 1.0, y))
    x, y = view.layer(0.6)
    offset, a, b = cells(x, 0.5, view.seed + 2)
    weed = np.abs(offset + 0.07 * np.sin(7 * y + 6 * a)) - 0.05 * (1 - smoothstep(-0.7, -0.05 + 0.3 * b, y))
    canvas = over(canvas, (0.06, 0.42, 0.32), view.inside(np.maximum(weed, y - (0.3 * b - 0.05))))
    return _ground(view, canvas, -0.58, (0.56, 0.56, 0.42), (0.30, 0.50, 0.50), 0.1, 3)


def mountains(view: View) -> Array:
    canvas = _clouds(view, _sky(view, (0.99, 0.82, 0.74), (0.50, 0.62, 0.86)), (1.0, 0.93, 0.90), 0.7)
    for depth, spacing, rock, top in ((0.2, 1.0, (0.54, 0.53, 0.68), 0.62), (0.4, 1.35, (0.40, 0.42, 0.56), 0.4)):
        x, y = view.layer(depth)
        offset, a, _ = cells(x, spacing, view.seed + int(depth * 50))
        peak = top * (0.75 + 0.4 * a)
        slope = y - peak + np.abs(offset) * 1.5
        shade = np.asarray(rock, np.float32) * (1.0 + 0.18 * np.sign(-offset))[..., None]
        canvas = over(canvas, np.clip(shade, 0, 1), view.inside(slope * 0.6))
        cap = peak - 0.28 + 0.09 * np.abs((np.abs(offset) * 9) % 2 - 1)
        canvas = over(canvas, (0.97, 0.97, 1.0), view.inside(np.maximum(slope * 0.6, cap - y)))
    return _ground(view, canvas, -0.34, (0.30, 0.42, 0.26), (0.52, 0.60, 0.40), 0.12, 3)


PAINTERS: dict[str, Callable[[View], Array]] = {
    painter.__name__: painter for painter in (meadow, beach, desert, forest, city, night, snow, room, ocean, mountains)
}
