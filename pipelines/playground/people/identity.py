"""`identity`: everything that makes a person look like themselves, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from pipelines.playground.vocabulary import HAIR_COLOURS, HAIR_STYLES

Colour = tuple[float, float, float]

SKINS: tuple[Colour, ...] = (
    (0.98, 0.84, 0.74), (0.95, 0.77, 0.64), (0.88, 0.68, 0.52), (0.78, 0.57, 0.41),
    (0.64, 0.44, 0.31), (0.47, 0.31, 0.22), (0.35, 0.23, 0.17),
)  # fmt: skip
EYES: tuple[Colour, ...] = ((0.30, 0.18, 0.09), (0.20, 0.42, 0.72), (0.24, 0.50, 0.28), (0.46, 0.32, 0.12), (0.42, 0.48, 0.52))
FRAMES: tuple[Colour, ...] = ((0.10, 0.10, 0.12), (0.50, 0.12, 0.12), (0.55, 0.40, 0.15), (0.12, 0.25, 0.50))

FRINGES = ("swept", "straight", "parted", "high")


@dataclass(frozen=True)
class Identity:
    """A person's lasting looks. Lengths are in half head heights, places on the face in face coordinates (a right, b up, 0 in the middle).

    Attributes:
        skin, eye_colour, lip_colour: RGB 0..1.
        width: half the head's width, 0.66..0.82; jaw: how much more than an ellipse it narrows to the chin, -0.34 (square) .. 0.16.
        hair, hair_colour: names from the vocabulary; hairline: height of the forehead's upper edge; parting: its asymmetry.
        brow_thickness, brow_tilt, brow_gap: of the brows; positive tilt lifts the outer ends.
        eye_distance: half the distance of the eyes; eye_height, eye_width, eye_opening, eye_tilt: of each eye.
        nose_width, nose_length; mouth_width (half), mouth_height (place), lips (thickness); ears (size).
        glasses: "", "round" or "square", with frame_colour; beard: "", "moustache" or "full".
        freckles: places (N, 2) of dots, as a tuple; mole: place or None; blush: 0..1.
        fringe: how the hair ends on the forehead, one of FRINGES.
    """

    skin: Colour
    width: float
    jaw: float
    hair: str
    hair_colour: str
    hairline: float
    parting: float
    brow_thickness: float
    brow_tilt: float
    brow_gap: float
    eye_colour: Colour
    eye_distance: float
    eye_height: float
    eye_width: float
    eye_opening: float
    eye_tilt: float
    nose_width: float
    nose_length: float
    mouth_width: float
    mouth_height: float
    lips: float
    lip_colour: Colour
    ears: float
    glasses: str
    frame_colour: Colour
    beard: str
    freckles: tuple[tuple[float, float], ...]
    mole: tuple[float, float] | None
    blush: float
    fringe: str


@cache
def identity(seed: int) -> Identity:
    """The person of `seed`: every trait drawn independently."""
    draw = np.random.default_rng((81, seed))

    def within(low: float, high: float) -> float:
        return float(draw.uniform(low, high))

    def pick(names) -> str:
        return str(draw.choice(list(names)))

    skin = _between(SKINS, within(0, len(SKINS) - 1))
    spots = draw.uniform((0.08, -0.30), (0.55, 0.02), (9, 2)) * np.where(np.arange(9) % 2, 1, -1)[:, None] ** np.array([1, 2])
    return Identity(
        skin=skin,
        width=within(0.66, 0.82),
        jaw=within(-0.34, 0.16),
        hair=pick(HAIR_STYLES),
        hair_colour=pick(HAIR_COLOURS),
        hairline=within(0.50, 0.72),
        parting=within(-0.16, 0.16),
        brow_thickness=within(0.020, 0.062),
        brow_tilt=within(-0.22, 0.28),
        brow_gap=within(0.17, 0.26),
        eye_colour=EYES[int(draw.integers(len(EYES)))],
        eye_distance=within(0.25, 0.37),
        eye_height=within(0.03, 0.17),
        eye_width=within(0.128, 0.180),
        eye_opening=within(0.076, 0.126),
        eye_tilt=within(-0.25, 0.30),
        nose_width=within(0.07, 0.17),
        nose_length=within(0.26, 0.46),
        mouth_width=within(0.17, 0.32),
        mouth_height=within(-0.64, -0.49),
        lips=within(0.024, 0.066),
        lip_colour=tuple(float(v) for v in np.clip(np.array(skin) * (0.86, 0.52, 0.52) + within(0, 0.10) * np.array((1, 0, 0.1)), 0, 1)),
        ears=within(0.10, 0.19),
        glasses=pick(("", "", "round", "square")),
        frame_colour=FRAMES[int(draw.integers(len(FRAMES)))],
        beard=pick(("", "", "moustache", "full")),
        freckles=tuple((float(a), float(b)) for a, b in spots) if draw.uniform() < 0.3 else (),
        mole=_mole(within(-0.4, 0.4), within(-0.42, -0.25)) if draw.uniform() < 0.3 else None,
        blush=within(0, 1),
        fringe=pick(FRINGES),
    )


def _mole(x: float, y: float) -> tuple[float, float]:
    """Its place, beside the mouth rather than under the nose."""
    return x + (0.14 if x > 0 else -0.14), y


def _between(colours: tuple[Colour, ...], place: float) -> Colour:
    """A colour on the way through `colours`."""
    index = min(int(place), len(colours) - 2)
    low, high = np.array(colours[index]), np.array(colours[index + 1])
    return tuple(float(v) for v in low + (high - low) * (place - index))
