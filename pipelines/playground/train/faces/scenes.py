"""Batches for the detector: pictures of one size with faces small and large, here and there, alone or several."""

from __future__ import annotations

import numpy as np
import torch

from pipelines.playground.train.augment import blur, grain, tint
from pipelines.playground.train.faces.pictures import FacePictures

SIDES = {96: 0.1, 128: 0.6, 160: 0.2, 256: 0.1}
"""Height and width in pixels of the pictures of a step -> share of the steps."""

FACE = (0.13, 0.85)
"""Smallest and largest side of a face as a fraction of the picture's."""


class FaceScenes:
    """What the detector is trained on.

    Args:
        pictures: loaded.
    """

    def __init__(self, pictures: FacePictures) -> None:
        self.pictures = pictures

    def draw(self, draw: np.random.Generator, pixels: int) -> tuple[int, torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """Pictures with about `pixels` pixels together.

        Returns:
            their side S; the pictures (B, 3, S, S) float 0..1; for each, boxes (M, 4) and key points (M, 5, 2) of its faces.
        """
        side = int(draw.choice(list(SIDES), p=list(SIDES.values())))
        made = [self.compose(draw, side) for _ in range(max(1, pixels // side**2))]
        colours = torch.from_numpy(np.stack([picture for picture, _, _ in made])).permute(0, 3, 1, 2).float() / 255
        return side, damage(colours), [torch.from_numpy(b) for _, b, _ in made], [torch.from_numpy(m) for _, _, m in made]

    def compose(self, draw: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A picture (S, S, 3) uint8 with boxes (M, 4) and key points (M, 5, 2): one rendering, or four in a grid."""
        canvas = np.zeros((side, side, 3), np.uint8)
        if draw.uniform() < 0.15:
            half = side // 2
            parts = [self._place(draw, canvas[y : y + half, x : x + half], (x, y)) for y in (0, half) for x in (0, half)]
        elif draw.uniform() < 0.45:
            parts = [self._fit(draw, canvas)]
        else:
            parts = [self._place(draw, canvas, (0, 0))]
        return canvas, np.concatenate([box for box, _ in parts]), np.concatenate([marks for _, marks in parts])

    def _fit(self, draw: np.random.Generator, canvas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A rendering fitted into the canvas from its top left corner, as insightface does it."""
        index = int(draw.integers(len(self.pictures.pixels)))
        height, width = self.pictures.pixels[index].shape[:2]
        return self._paint(index, canvas, len(canvas) / max(height, width), (0.0, 0.0), mirrored=draw.uniform() < 0.5)

    def _place(self, draw: np.random.Generator, canvas: np.ndarray, corner: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """A rendering in any size, its face somewhere on the canvas; `corner` is where the canvas is in the whole picture."""
        index, side = int(draw.integers(len(self.pictures.pixels))), len(canvas)
        height, width = self.pictures.pixels[index].shape[:2]
        mirrored = bool(draw.uniform() < 0.5)
        box = self.pictures.faces[index]
        if np.isnan(box).any():  # of a toy the middle has to be seen
            box = np.array((0.3 * width, 0.3 * height, 0.7 * width, 0.7 * height))
        elif mirrored:
            box = mirror(self.pictures.pixels[index], box, self.pictures.landmarks[index])[1]
        size = max(14, side * np.exp(draw.uniform(*np.log(FACE))))
        scale = size / max(box[2] - box[0], box[3] - box[1])
        offset = tuple(draw.uniform(-box[at] * scale, side - box[at + 2] * scale) for at in (0, 1))
        box, marks = self._paint(index, canvas, scale, offset, mirrored)
        return box + np.float32((*corner, *corner)), marks + np.float32(corner)

    def _paint(
        self, index: int, canvas: np.ndarray, scale: float, offset: tuple[float, float], mirrored: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw a rendering into `canvas`; its face there, (0 or 1, 4) and (0 or 1, 5, 2), if most of it is to be seen."""
        import cv2

        picture, box, marks = self.pictures.pixels[index], self.pictures.faces[index], self.pictures.landmarks[index]
        if mirrored:
            picture, box, marks = mirror(picture, box, marks)
        middle = (scale - 1) / 2  # pixel centres, as resizing has it
        matrix = np.float32([[scale, 0, offset[0] + middle], [0, scale, offset[1] + middle]])
        mode = cv2.INTER_LINEAR if scale > 0.6 else cv2.INTER_AREA
        canvas[:] = cv2.warpAffine(picture, matrix, canvas.shape[1::-1], flags=mode)
        shift = np.float32(matrix[:, 2])
        box, marks = (box * scale + np.tile(shift, 2)).astype(np.float32), (marks * scale + shift).astype(np.float32)
        return (box[None], marks[None]) if seen(box, marks, len(canvas)) else (box[None][:0], marks[None][:0])


def seen(box: np.ndarray, marks: np.ndarray, side: int) -> bool:
    """Whether there is a face and its eyes, nose and mouth are in the picture."""
    return bool(np.isfinite(box).all() and (marks.min() >= 1) and (marks.max() <= side - 2))


def mirror(picture: np.ndarray, box: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same in a mirror: left eye and corner of the mouth change their places with the right ones."""
    last = picture.shape[1] - 1
    turned = marks[[1, 0, 2, 4, 3]] * np.float32((-1, 1)) + np.float32((last, 0))
    return np.ascontiguousarray(picture[:, ::-1]), np.array([last - box[2], box[1], last - box[0], box[3]]), turned


def damage(colours: torch.Tensor) -> torch.Tensor:
    """(B, 3, S, S) 0..1 -> the same, some of them blurred, tinted and grainy, as generated pictures may be."""
    widest = min(2.5, 1.6 * colours.shape[-1] / 128)  # the kernel reaches four pixels
    for harm, chance in ((lambda x: blur(x, widest), 0.25), (tint, 0.6), (grain, 0.3)):
        chosen = (torch.rand(len(colours)) < chance).nonzero()[:, 0]
        if len(chosen):
            colours = colours.index_copy(0, chosen, harm(colours[chosen]))
    return colours.clamp(0, 1)
