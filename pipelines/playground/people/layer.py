"""A person as a layer: hair behind, body, head with its face, hair in front, all lit from one side."""

from __future__ import annotations

from functools import partial

import numpy as np

from pipelines.playground.backgrounds import View
from pipelines.playground.layers import Layer, to_pixels
from pipelines.playground.paint import smoothstep
from pipelines.playground.people.face import inside, mouth_line, paint_face
from pipelines.playground.people.hair import behind, hairline, off_head, strands
from pipelines.playground.people.identity import Identity, identity
from pipelines.playground.people.pose import Pose, narrowing, pose, to_screen
from pipelines.playground.shapes import box
from pipelines.playground.subjects import Person
from pipelines.playground.vocabulary import COLOURS, HAIR_COLOURS

Array = np.ndarray

BODY = np.array([0.0, -10.0], np.float32)
"""Added to body coordinates, so that no place of the body can be taken for one of the face."""

ACTS = ("curve", "opening", "lift", "tilt", "lids")


def person_layer(person: Person, view: View, frames: int, aspect: float) -> Layer:
    """The layer of `person` in `frames` frames seen by `view`; `aspect` is width over height.

    Surface coordinates: on the head, face coordinates in half head heights, whatever the pose; on the body, places relative
    to the head's centre in the same unit, moved by BODY.
    """
    who = identity(person.identity)
    how = pose(person, frames, aspect, view.zoom[:, 0, 0])
    painter = _Painter(person, who, how, view)
    coverage, colour, local = painter.paint()
    return Layer(
        coverage=coverage,
        shadow=np.zeros_like(coverage),
        colour=colour,
        local=local,
        points=_points(),
        project=partial(_project, who, how),
        outline=partial(_on_person, who),
        landmarks=to_screen(who, how, landmarks(who, how)),
        box=_box(who, how),
    )


def landmarks(who: Identity, how: Pose) -> Array:
    """(5, 2) face coordinates of the eyes, the tip of the nose and the corners of the mouth."""
    corner = float(mouth_line(who, how.curve[:1], np.float32(who.mouth_width))[0])
    nose, width = who.eye_height - who.nose_length + 0.03, who.mouth_width
    eyes = [(-who.eye_distance, who.eye_height), (who.eye_distance, who.eye_height)]
    return np.array([*eyes, (0, nose), (-width, corner), (width, corner)], np.float32)


class _Painter:
    """Paints one person on the sampling grid; only where something of the person can be."""

    def __init__(self, person: Person, who: Identity, how: Pose, view: View) -> None:
        self.person, self.who, self.how = person, who, how
        self.shape = view.x.shape
        x = (view.x - how.centre[:, 0, None, None]) / how.size[:, None, None]
        y = (view.y - how.centre[:, 1, None, None]) / how.size[:, None, None]
        near = np.flatnonzero((np.abs(x) < 1.75) & (y < 1.65))
        self.near, self.frame = near, np.unravel_index(near, self.shape)[0]
        self.x, self.y = x.ravel()[near].astype(np.float32), y.ravel()[near].astype(np.float32)
        self.soft = (1.5 * view.pixel / how.size)[self.frame].astype(np.float32)
        cos, sin = np.cos(how.roll)[self.frame], np.sin(how.roll)[self.frame]
        self.u, self.v = self.x * cos + self.y * sin, -self.x * sin + self.y * cos
        light = np.array([0.85 * person.light, 0.45, 0.75], np.float32)
        self.light = light / np.linalg.norm(light)
        self.alpha = np.zeros(len(near), np.float32)
        self.colour = np.zeros((len(near), 3), np.float32)
        self.local = np.stack([self.x, self.y], -1) + BODY

    def paint(self) -> tuple[Array, Array, Array]:
        """(T, H, W) coverage, (T, H, W, 3) colour, (T, H, W, 2) surface coordinates."""
        self._hair_behind()
        self._body()
        self._ears()
        self._head()
        flat = np.zeros((np.prod(self.shape), 6), np.float32)
        flat[self.near] = np.concatenate([self.alpha[:, None], np.clip(self.colour, 0, 1.2), self.local], 1)
        whole = flat.reshape(*self.shape, 6)
        return whole[..., 0], whole[..., 1:4], whole[..., 4:]

    def _lay(self, alpha: Array, colour: Array, where: Array | slice = slice(None)) -> None:
        """Put `colour` over what is there; `where` limits it to some of the places."""
        before = self.alpha[where]
        after = alpha + before * (1 - alpha)
        share = (alpha / np.maximum(after, 1e-6))[..., None]
        self.colour[where] += (colour - self.colour[where]) * share
        self.alpha[where] = after

    def _tone(self) -> Array:
        return np.float32(HAIR_COLOURS[self.who.hair_colour])

    def _hair_behind(self) -> None:
        shift = -0.22 * np.sin(self.how.yaw)[self.frame]
        x = self.u - shift
        side = 1 + 0.16 * self.person.light * np.clip(x, -1, 1)
        shade = strands(self.who, self.v, x) * side * 0.74
        self._lay(inside(behind(self.who, x, self.v), self.soft), self._tone() * shade[..., None])

    def _body(self) -> None:
        neck = box(self.x, self.y + 0.95, 0.30, 0.55, 0.08)
        skin = (
            np.float32(self.who.skin)
            * (0.80 + 0.14 * self.person.light * np.clip(self.x / 0.3, -1, 1) - 0.20 * smoothstep(-1.15, -0.75, self.y))[..., None]
        )
        self._lay(inside(neck, self.soft), skin)
        dome = np.hypot(self.x / 1.42, (self.y + 2.35) / 1.12) - 1
        collar = np.hypot(self.x / 0.42, (self.y + 1.12) / 0.30) - 1
        shirt = np.maximum(dome, -collar * 0.4)
        base = np.float32(COLOURS[self.person.clothes])
        folds = 0.92 + 0.10 * np.sin(5 * self.x + 2 * self.y) + 0.20 * self.person.light * np.clip(self.x / 1.4, -1, 1)
        shade = folds * (0.80 + 0.22 * smoothstep(-2.4, -1.25, self.y))
        seam = 1 - 0.25 * np.exp(-(((collar - 0.12) / 0.06) ** 2))
        self._lay(inside(dome * 0.9, self.soft), np.float32(self.who.skin) * 0.86)
        self._lay(inside(shirt * 0.9, self.soft), base * (shade * seam)[..., None])

    def _ears(self) -> None:
        turned = self.how.turned()[self.frame]
        for side in (-1.0, 1.0):
            centre = turned[:, :, 0] * side + turned[:, :, 1] * -0.02
            seen = smoothstep(-0.75, -0.35, centre[:, 2])
            distance = np.hypot((self.u - centre[:, 0] * self.who.width) / 0.55, self.v - centre[:, 1]) - self.who.ears
            tone = np.float32(self.who.skin) * (0.86 - 0.3 * smoothstep(0.06, 0.0, np.abs(distance + 0.07)))[..., None]
            self._lay(inside(distance * 0.7, self.soft) * seen, tone)

    def _head(self) -> None:
        wide = np.maximum(narrowing(self.who, self.v), 0.2)
        x, y = self.u / wide, self.v
        radius = np.hypot(x, y)
        where = np.flatnonzero(radius < 1.5)
        x, y, radius, frame, soft = x[where], y[where], radius[where], self.frame[where], self.soft[where]
        rim = np.maximum(radius, 1.0)
        seen = np.stack([x / rim, y / rim, np.sqrt(np.clip(1 - (radius / rim) ** 2, 0, 1))], -1)
        fixed = np.einsum("nij,ni->nj", self.how.turned()[frame], seen)
        a, b, front = fixed[:, 0] * self.who.width, fixed[:, 1], fixed[:, 2]
        outline = inside((radius - 1) * 0.8, soft)
        self._lay(outline, self._lit_face(a, b, seen, frame, soft), where)
        edge = np.where(front > 0, (hairline(self.who, a) - b) * np.clip(front * 3, 0.4, 1), -1)
        on_head = inside(edge, soft + 0.015) * outline
        standing = inside(off_head(self.who, x, y) * 0.8, soft) * (1 - outline) * (y > -0.9)
        self._lay(np.clip(on_head + standing, 0, 1), self._lit_hair(fixed, seen, b), where)
        self.local[where] = np.where((outline > 0.5)[:, None], _face_place(self.who, fixed), self.local[where])

    def _lit_face(self, a: Array, b: Array, seen: Array, frame: Array, soft: Array) -> Array:
        acts = {name: getattr(self.how, name)[frame] for name in ACTS}
        light = np.clip(seen @ self.light, 0, 1)
        under = 1 - 0.16 * np.exp(-(((b - hairline(self.who, a)) / 0.09) ** 2))
        gloss = np.clip(seen @ _halfway(self.light), 0, 1) ** 24
        return paint_face(self.who, acts, a, b, soft) * ((0.60 + 0.47 * light) * under)[..., None] + 0.06 * gloss[..., None]

    def _lit_hair(self, fixed: Array, seen: Array, b: Array) -> Array:
        across = np.arctan2(fixed[:, 0], np.abs(fixed[:, 2]) + 0.3)
        light = 0.66 + 0.48 * np.clip(seen @ self.light, 0, 1)
        shine = 0.16 * np.exp(-(((b - 0.78) / 0.10) ** 2)) * (1 + 0.5 * np.sin(across * 17))
        return self._tone() * (light * strands(self.who, b, across))[..., None] + shine[..., None]


def _halfway(light: Array) -> Array:
    middle = light + np.float32((0, 0, 1))
    return middle / np.linalg.norm(middle)


def _face_place(who: Identity, fixed: Array) -> Array:
    """(N, 2) surface coordinates of directions (N, 3): face coordinates in front, continued beyond the sides."""
    a = np.where(fixed[:, 2] >= 0, fixed[:, 0], np.sign(fixed[:, 0]) * 2 - fixed[:, 0]) * who.width
    return np.stack([a, fixed[:, 1]], -1)


def _points() -> Array:
    """(25, 2) tracked places: 20 on the face, 5 across the chest."""
    face = np.stack(np.meshgrid(np.linspace(-0.42, 0.42, 5), np.linspace(-0.62, 0.5, 4)), -1).reshape(-1, 2)
    chest = np.stack([np.linspace(-0.8, 0.8, 5), np.full(5, -1.6)], -1) + BODY
    return np.concatenate([face, chest]).astype(np.float32)


def _project(who: Identity, how: Pose, points: Array, height: int, width: int) -> Array:
    """(T, P, 2) pixel positions of surface coordinates (P, 2)."""
    body = points[:, 1] < BODY[1] / 2
    screen = to_screen(who, how, np.where(body[:, None], 0, points))
    straight = (points - BODY)[None] * how.size[:, None, None] + how.centre[:, None]
    return to_pixels(np.where(body[None, :, None], straight, screen), height, width)


def _on_person(who: Identity, points: Array) -> Array:
    """(P,) bool: whether surface coordinates lie on the front of the head or on the chest."""
    on_face = np.hypot(points[:, 0] / narrowing(who, points[:, 1]), points[:, 1]) < 0.97
    x, y = points[:, 0], points[:, 1] - BODY[1]
    return np.where(points[:, 1] < BODY[1] / 2, np.hypot(x / 1.42, (y + 2.35) / 1.12) < 1, on_face)


def _box(who: Identity, how: Pose) -> Array:
    """(T, 4) left, top, right, bottom of the face, from ear to ear and from the hairline to the chin, on the screen."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    top = min(0.75, who.hairline + 0.1)
    y = np.sin(angles) * np.where(np.sin(angles) > 0, top, 1.0)
    rim = np.stack([np.cos(angles) * narrowing(who, y), y], -1) * how.size[:, None, None]
    cos, sin = np.cos(how.roll)[:, None], np.sin(how.roll)[:, None]
    turned = np.stack([rim[..., 0] * cos - rim[..., 1] * sin, rim[..., 0] * sin + rim[..., 1] * cos], -1) + how.centre[:, None]
    left, low, right, high = *turned.min(1).T[:2], *turned.max(1).T[:2]
    return np.stack([left, high, right, low], -1).astype(np.float32)
