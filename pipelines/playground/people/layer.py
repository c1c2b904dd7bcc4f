"""A person as a layer: hair behind, body, head with its face, hair in front, all lit from one side."""

from __future__ import annotations

from functools import partial

import numpy as np

from pipelines.playground.backgrounds import View
from pipelines.playground.layers import Layer, to_pixels
from pipelines.playground.paint import smoothstep
from pipelines.playground.people.face import paint_face, relief
from pipelines.playground.people.hair import COVERS_EARS, FALLS_BEFORE, FALLS_BEHIND, behind, hairline, hanging, off_head, plaits, strands
from pipelines.playground.people.identity import Identity, identity
from pipelines.playground.people.mouth import corner_height
from pipelines.playground.people.places import Places, inside
from pipelines.playground.people.pose import Pose, narrowing, pose, to_screen
from pipelines.playground.shapes import box
from pipelines.playground.subjects import Person
from pipelines.playground.vocabulary import COLOURS, HAIR_COLOURS

Array = np.ndarray

BODY = np.array([0.0, -10.0], np.float32)
"""Added to body coordinates, so that no place of the body can be taken for one of the face."""

ACTS = ("curve", "opening", "wide", "lift", "tilt", "lids")


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
    """(T, 5, 2) face coordinates of the eyes, the tip of the nose and the corners of the mouth."""
    same = np.ones_like(how.yaw)
    nose, half, corner = who.eye_height - who.nose_length + 0.03, who.mouth_width * how.wide, corner_height(who, how.curve)
    eyes = [(-who.eye_distance * same, who.eye_height * same), (who.eye_distance * same, who.eye_height * same)]
    return np.stack([np.stack(place, -1) for place in (*eyes, (0 * same, nose * same), (-half, corner), (half, corner))], 1)


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
        self._ears(front=False)
        self._head()
        self._ears(front=True)
        self._hair_before()
        flat = np.zeros((np.prod(self.shape), 6), np.float32)
        flat[self.near] = np.concatenate([self.alpha[:, None], np.clip(self.colour, 0, 1.2), self.local], 1)
        whole = flat.reshape(*self.shape, 6)
        return whole[..., 0], whole[..., 1:4], whole[..., 4:]

    def _lay(self, alpha: Array, colour: Array, where: Array) -> None:
        """Put `colour` (N, 3) over what is there at the places `where` (N,)."""
        before = self.alpha[where]
        after = alpha + before * (1 - alpha)
        share = (alpha / np.maximum(after, 1e-6))[:, None]
        old = self.colour[where]
        self.colour[where] = old + (colour - old) * share
        self.alpha[where] = after

    def _reached(self, distance: Array, where: Array) -> tuple[Array, Array]:
        """What of `where` a region of signed distance `distance` reaches, and the opacity there."""
        soft = self.soft[where]
        kept = np.flatnonzero(distance < 0.5 * soft)
        return where[kept], inside(distance[kept], soft[kept])

    def _tone(self) -> Array:
        return np.float32(HAIR_COLOURS[self.who.hair_colour])

    def _hair_behind(self) -> None:
        if self.who.hair not in FALLS_BEHIND:
            return
        x = self.u + 0.22 * np.sin(self.how.yaw)[self.frame]
        where, alpha = self._reached(behind(self.who, x, self.v), np.arange(len(x)))
        x, y = x[where], self.v[where]
        side = 1 + 0.16 * self.person.light * np.clip(x, -1, 1)
        shade = strands(self.who, y, x) * side * (0.50 + 0.22 * smoothstep(0.3, 0.9, np.abs(x)))
        self._lay(alpha, self._tone() * shade[:, None], where)

    def _hair_before(self) -> None:
        """Hair that falls before the shoulders, but never before the face."""
        if self.who.hair not in FALLS_BEFORE:
            return
        where = np.flatnonzero((self.v < -0.02) & (np.abs(self.u) > 0.35))
        x, y = self.u[where] + 0.10 * np.sin(self.how.yaw)[self.frame[where]], self.v[where]
        head = np.hypot(self.u[where] / narrowing(self.who, y), y) - 1
        distance = np.maximum(hanging(self.who, x, y), -0.6 * head)
        chosen, alpha = self._reached(distance, where)
        picked = np.searchsorted(where, chosen)
        x, y, distance = x[picked], y[picked], distance[picked]
        round_off = 0.74 + 0.26 * np.clip(-distance / 0.07, 0, 1) + 0.14 * self.person.light * np.clip(x, -1, 1)
        locks = plaits(np.abs(x) - self.who.width - 0.02, y) if self.who.hair == "braids" else strands(self.who, y, x)
        self._lay(alpha, self._tone() * (locks * round_off)[:, None], chosen)

    def _body(self) -> None:
        low = np.flatnonzero(self.y < -0.3)
        x, y = self.x[low], self.y[low]
        neck = smooth_min(box(x, y + 0.95, 0.36, 0.65, 0.10), np.hypot(x / 0.95, (y + 1.62) / 0.42) - 1, 0.12)
        where, alpha = self._reached(neck, low)
        side = 0.20 * self.person.light * np.clip(self.x[where] / 0.36, -1, 1)
        skin = np.float32(self.who.skin) * warm(0.62 + side - 0.26 * smoothstep(-1.35, -0.85, self.y[where]))
        self._lay(alpha, skin, where)
        where, alpha = self._reached(np.maximum(_bust(x, y), -0.4 * _collar(x, y)) * 0.9, low)
        self._lay(alpha, self._shirt(self.x[where], self.y[where]), where)

    def _shirt(self, x: Array, y: Array) -> Array:
        """(N, 3) lit cloth, with a seam along the collar and the shadow of the chin."""
        slope = np.stack([x / 1.42, np.clip((y + 2.3) / 1.1, -1, 1)], -1)
        light = 0.34 + 0.62 * np.clip(slope @ self.light[:2] * 0.75 + 0.62, 0, 1)
        chin = 1 - 0.34 * np.exp(-((x / 0.62) ** 2) - ((y + 1.30) / 0.30) ** 2)
        rib = _collar(x, y)
        seam = 1 - 0.22 * np.exp(-(((rib - 0.13) / 0.05) ** 2)) + 0.05 * np.exp(-(((rib - 0.06) / 0.04) ** 2))
        folds = 1 + 0.05 * np.sin(4 * x + 3 * y) * smoothstep(-1.5, -2.0, y)
        return np.float32(COLOURS[self.person.clothes]) * (1.12 * light * chin * seam * folds)[:, None]

    def _ears(self, front: bool) -> None:
        """The ears behind the head, or the one that a turned head shows us."""
        if front and self.who.hair in COVERS_EARS:
            return
        turned, near = self.how.turned(), np.flatnonzero((np.abs(self.v) < 0.55) & (np.abs(self.u) > 0.25))
        for side in (-1.0, 1.0):
            centre = turned[:, :, 0] * side + turned[:, :, 1] * -0.02 + turned[:, :, 2] * -0.12
            shown = smoothstep(0.06, 0.16, centre[:, 2]) if front else smoothstep(-0.75, -0.35, centre[:, 2])
            at = near[(shown[self.frame[near]] > 0)]
            frame = self.frame[at]
            outward = (self.u[at] - centre[frame, 0] * self.who.width) / (0.58 + 0.2 * np.abs(centre[frame, 2]))
            distance = np.hypot(outward, self.v[at] - centre[frame, 1]) - self.who.ears
            where, alpha = self._reached(distance * 0.7, at)
            inner = 0.26 * smoothstep(0.0, -0.5 * self.who.ears, distance[np.searchsorted(at, where)])
            skin = np.float32(self.who.skin) * warm(0.80 + 0.16 * self.person.light * side - inner)
            self._lay(alpha * shown[self.frame[where]], skin, where)

    def _head(self) -> None:
        wide = np.maximum(narrowing(self.who, self.v), 0.2)
        x, y = self.u / wide, self.v
        where = np.flatnonzero(np.hypot(x, y) < 1.42)
        x, y, frame, soft = x[where], y[where], self.frame[where], self.soft[where]
        radius = np.hypot(x, y)
        rim = np.maximum(radius, 1.0)
        seen = np.stack([x / rim, y / rim, np.sqrt(np.clip(1 - (radius / rim) ** 2, 0, 1))], -1)
        fixed = np.einsum("nij,ni->nj", self.how.turned()[frame], seen)
        a, b, front = fixed[:, 0] * self.who.width, fixed[:, 1], fixed[:, 2]
        outline = inside((radius - 1) * 0.8, soft)
        edge = np.where(front > 0, (hairline(self.who, a) - b) * np.clip(front * 3, 0.4, 1), -1)
        on_head = inside(edge, soft + 0.015) * outline
        bare = np.flatnonzero((outline > 0) & (on_head < 1))
        self._lay(outline[bare], self._lit_face(a[bare], b[bare], seen[bare], frame[bare], soft[bare]), where[bare])
        standing = inside(off_head(self.who, x, y) * 0.8, soft) * (1 - outline) * (y > -0.9)
        hair = np.flatnonzero(on_head + standing > 0)
        self._lay(np.clip(on_head + standing, 0, 1)[hair], self._lit_hair(fixed[hair], seen[hair], b[hair]), where[hair])
        solid = outline > 0.5
        self.local[where[solid]] = _face_place(self.who, fixed[solid])

    def _lit_face(self, a: Array, b: Array, seen: Array, frame: Array, soft: Array) -> Array:
        acts = {name: getattr(self.how, name)[frame] for name in ACTS}
        light = seen @ self.light + 0.55 * self.light[0] * relief(self.who, a, b)
        under = 0.20 * np.exp(-(((b - hairline(self.who, a) - 0.02) / 0.10) ** 2))
        rim = 0.14 * smoothstep(0.45, 0.0, seen[:, 2])
        gloss = np.clip(seen @ _halfway(self.light), 0, 1) ** 20
        shade = warm(0.39 + 0.71 * np.clip(0.28 + 0.74 * light, 0, 1) - under - rim)
        return paint_face(self.who, Places(a=a, b=b, soft=soft, **acts)) * shade + 0.05 * gloss[..., None]

    def _lit_hair(self, fixed: Array, seen: Array, b: Array) -> Array:
        across = np.arctan2(fixed[:, 0], np.abs(fixed[:, 2]) + 0.3)
        light = 0.56 + 0.58 * np.clip(0.15 + 0.85 * seen @ self.light, 0, 1)
        band = np.exp(-(((b - 0.80 + 0.05 * np.cos(3 * across)) / 0.075) ** 2)) * np.clip(seen @ self.light + 0.1, 0, 1)
        shine = band * (0.16 + 0.07 * np.sin(across * 19))
        return self._tone() * (light * strands(self.who, b, across))[..., None] + shine[..., None] * (0.35 + 0.65 * self._tone())


def warm(light: Array | float) -> Array:
    """(..., 3) factors on skin for light 0..1: shadows are redder than what is lit."""
    light = np.asarray(light, np.float32)[..., None]
    return light * (np.float32((1.10, 0.89, 0.85)) + light * np.float32((-0.08, 0.11, 0.15)))


def _bust(x: Array, y: Array) -> Array:
    """Signed distance, about, to shoulders and chest."""
    return (np.abs(x / 1.42) ** 2.3 + np.abs((y + 2.45) / 1.28) ** 2.3) ** (1 / 2.3) - 1


def _collar(x: Array, y: Array) -> Array:
    """Negative where the neck leaves the clothes."""
    return np.hypot(x / 0.46, (y + 1.10) / 0.34) - 1


def smooth_min(first: Array, second: Array, reach: float) -> Array:
    """The union of two signed distances, rounded where they meet."""
    share = np.clip(0.5 + 0.5 * (second - first) / reach, 0, 1)
    return second + (first - second) * share - reach * share * (1 - share)


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
    return np.where(points[:, 1] < BODY[1] / 2, _bust(x, y) < 0, on_face)


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
