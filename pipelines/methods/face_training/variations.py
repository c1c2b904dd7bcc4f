"""A photograph's face as it might look in another picture: another expression, another light, another background (Lynx, section 4).

The paper has large models for each. Here they are geometry and arithmetic, which every machine can do; what they do to a face is
checked afterwards by the recogniser, as in the paper: pairs that are no longer alike are discarded.
"""

from __future__ import annotations

import numpy as np

SMILE = 0.12
"""How far the corners of the mouth move at most, as a share of the distance between the eyes."""

REACH = 0.35
"""How far around a corner of the mouth the skin moves along, as such a share (standard deviation)."""

SHADE = 0.5
"""Strongest change of brightness across a face by a light from one side."""

WARMTH = 0.15
"""Strongest change of red against blue."""

HEAD = (1.1, 1.5)
"""Half axes of the ellipse that counts as head and neck, as shares of the width and height of the face's box."""


def edited(picture: np.ndarray, landmarks: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: the face with another expression and in another light.

    Args:
        picture: (H, W, 3) uint8 RGB.
        landmarks: (5, 2) key points in pixels, see `pipelines.faces.align`.
    """
    amount = float(draw.uniform(0.4, 1)) * float(draw.choice((-1, 1)))
    return relit(smiling(picture, landmarks, amount), draw)


def smiling(picture: np.ndarray, landmarks: np.ndarray, amount: float) -> np.ndarray:
    """(H, W, 3) uint8: the corners of the mouth raised and drawn apart (`amount` 1), or lowered and drawn together (-1)."""
    import cv2

    left, right = landmarks[3], landmarks[4]
    span = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    along = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
    up = np.array((along[1], -along[0]))
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    for corner, outwards in ((left, -along), (right, along)):
        weight = np.exp(-((x - corner[0]) ** 2 + (y - corner[1]) ** 2) / (2 * (REACH * span) ** 2))
        shift = amount * SMILE * span * (up + outwards / 2)
        x, y = x - weight * shift[0], y - weight * shift[1]
    return cv2.remap(picture, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def relit(picture: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: lit from one side, brighter or darker, warmer or colder."""
    height, width = picture.shape[:2]
    angle = draw.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 1 + draw.uniform(0.3, 1) * SHADE * (np.cos(angle) * x + np.sin(angle) * y)
    warmth = draw.uniform(-WARMTH, WARMTH)
    colour = np.array((1 + warmth, 1, 1 - warmth))
    values = (picture / 255.0) ** np.exp(draw.uniform(-0.3, 0.3))
    return np.round(255 * np.clip(values * light[..., None] * colour, 0, 1)).astype(np.uint8)


def elsewhere(picture: np.ndarray, box: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: what is not head or neck gives way to soft blobs of colour.

    Args:
        box: (4,) x1, y1, x2, y2 of the face.
    """
    import cv2

    height, width = picture.shape[:2]
    blobs = cv2.resize(draw.uniform(0, 255, (4, 4, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    inside = head(box, height, width)[..., None]
    return np.round(inside * picture + (1 - inside) * blobs).astype(np.uint8)


def head(box: np.ndarray, height: int, width: int, softness: float = 0.15) -> np.ndarray:
    """(H, W) 0..1: the ellipse of head and neck around the face in `box` (4,), its edge `softness` of its size wide."""
    (x1, y1, x2, y2), (across, down) = box, HEAD
    y, x = np.mgrid[:height, :width]
    radius = np.hypot((x - (x1 + x2) / 2) / max(across * (x2 - x1), 1), (y - (y1 + y2) / 2) / max(down * (y2 - y1), 1)) * 2
    return np.clip((1 - radius) / softness + 0.5, 0, 1)
