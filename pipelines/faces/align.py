"""Faces brought into place: five key points to the places that a recogniser, or a reference encoder, expects them at.

Key points are (5, 2) pixel positions (x, y): eyes, nose and corners of the mouth, left ones (as seen in the picture) first.
"""

from __future__ import annotations

import numpy as np

from pipelines.errors import UserError

ARCFACE_SIZE, REFERENCE_SIZE = 112, 256
"""Sides in pixels that the places below are given for."""

ARCFACE = np.array(((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)))
"""Key points in a crop for recognition: `arcface_dst` of insightface, after Deng et al. 2019 (arXiv 1801.07698)."""

REFERENCE = ((ARCFACE + np.array((0, 10)) - 56) * 0.8 + 56) * 2 + np.array((16, 0))
"""Key points in a reference crop, with more of hair and chin, as the released weights of Lynx were trained with them:
eyes (99.67, 121.11), (156.05, 120.80), nose (128.04, 153.18), mouth (104.88, 186.19), (151.57, 185.93)."""

CLOSEST = 0.1
"""Pixels that key points must lie apart, at least in one direction."""


def arcface_crop(picture: np.ndarray, landmarks: np.ndarray, size: int = ARCFACE_SIZE) -> np.ndarray:
    """(size, size, 3) uint8: the face of `picture` (H, W, 3) uint8 with key points `landmarks` (5, 2), for recognisers.

    Raises UserError if the key points are of no face, see `similarity`.
    """
    return warped(picture, similarity(landmarks, ARCFACE * (size / ARCFACE_SIZE)), size)


def reference_crop(picture: np.ndarray, landmarks: np.ndarray, size: int = REFERENCE_SIZE) -> np.ndarray:
    """(size, size, 3) uint8: the same with more around the face, for encoders of its look (Lynx, section 3.1)."""
    return warped(picture, similarity(landmarks, REFERENCE * (size / REFERENCE_SIZE)), size)


def similarity(landmarks: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(2, 3) float64: rotation, scaling and shift that brings `landmarks` (5, 2) closest to `places` (5, 2), never mirrored.

    Least squares (Umeyama 1991). Raises UserError if the key points lie in one place, or not all of them are known.
    """
    from skimage.transform import SimilarityTransform

    points = np.asarray(landmarks, np.float64)
    apart = np.isfinite(points).all() and np.ptp(points, axis=0).max() > CLOSEST
    found = apart and SimilarityTransform.from_estimate(points, places)
    if not found or not np.isfinite(found.params).all():
        raise UserError("The key points of the face lie in one place: choose a picture that shows the face from the front.")
    return found.params[:2]


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(N, 2) where `matrix` (2, 3) brings `points` (N, 2)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def warped(picture: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) uint8: `picture` (H, W, 3) uint8 moved by `matrix` (2, 3), bilinear, black where it does not reach."""
    import cv2

    return cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
