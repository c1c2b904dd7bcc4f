"""`Places`: points of the face to be painted, with what the face does there and then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Places:
    """N points of a face; all fields are (N,).

    Attributes:
        a, b: face coordinates.
        soft: width of a soft edge in face units.
        curve, opening, wide, lift, tilt, lids: see `Pose`, of the point's frame.
    """

    a: Array
    b: Array
    soft: Array
    curve: Array
    opening: Array
    wide: Array
    lift: Array
    tilt: Array
    lids: Array

    def only(self, chosen: Array) -> Places:
        """The points of the indices `chosen`."""
        return Places(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def inside(distance: Array, soft: Array) -> Array:
    """Opacity 0..1 of a region given by a signed distance."""
    return np.clip(0.5 - distance / soft, 0, 1)
