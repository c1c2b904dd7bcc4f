"""What makes a person, in numbers: a training aid, for a recogniser learns sooner what to look at when it is told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.playground.people.identity import FRINGES, Identity, identity
from pipelines.playground.vocabulary import HAIR_COLOURS, HAIR_STYLES

LENGTHS = (
    "width", "jaw", "hairline", "parting", "brow_thickness", "brow_tilt", "brow_gap", "eye_distance", "eye_height", "eye_width",
    "eye_opening", "eye_tilt", "nose_width", "nose_length", "mouth_width", "mouth_height", "lips", "ears", "blush",
)  # fmt: skip


def traits(who: Identity) -> np.ndarray:
    """(D,) of a person: lengths, colours, and 1 or 0 for each kind of hair, fringe, glasses and beard."""
    lengths = [getattr(who, name) for name in LENGTHS]
    colours = [*who.skin, *who.eye_colour, *who.lip_colour, *HAIR_COLOURS[who.hair_colour], *who.frame_colour]
    colours[-3:] = colours[-3:] if who.glasses else [0.3] * 3
    kinds = [who.hair == name for name in HAIR_STYLES] + [who.fringe == name for name in FRINGES]
    kinds += [who.glasses == name for name in ("round", "square")] + [who.beard == name for name in ("moustache", "full")]
    kinds += [bool(who.freckles), who.mole is not None]
    mole = who.mole or (0.0, -0.33)
    return np.array([*lengths, *colours, *kinds, *mole], np.float32)


def standard_traits(seeds: Sequence[int]) -> np.ndarray:
    """(N, D) traits of the identities of `seeds`, each with mean 0 and deviation 1 over them."""
    values = np.stack([traits(identity(seed)) for seed in seeds])
    return (values - values.mean(0)) / (values.std(0) + 1e-6)
