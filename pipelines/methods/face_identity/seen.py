"""The face in a clip: where it is, and how alike it is to the photograph, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.events import Preview
from pipelines.faces import Detector, Face, Recogniser, arcface_crop, boxes_drawn


@dataclass(frozen=True, eq=False)
class Likeness:
    """What was seen.

    Attributes:
        faces: of each frame the largest; None where there is none.
        similarity: (T,) cosine, -1..1, with the photograph's face; NaN where there is none.
    """

    faces: tuple[Face | None, ...]
    similarity: np.ndarray

    @property
    def found(self) -> float:
        """Share of the frames in which a face is seen."""
        return float(np.mean([face is not None for face in self.faces]))

    def values(self) -> Mapping[str, object]:
        """For a result: the figures, None where there is nothing to measure."""
        curve = [None if np.isnan(value) else round(float(value), 4) for value in self.similarity]
        known = [value for value in curve if value is not None]
        return {"face_found": self.found, "likeness": curve, "mean_likeness": float(np.mean(known)) if known else None}

    def previews(self, clip: np.ndarray, name: str, step: int) -> Iterator[Preview]:
        """Boxes in every frame of `clip` (T, H, W, 3) uint8, and the curve, 0 where there is no face."""
        boxed = [boxes_drawn(frame, [face] if face else []) for frame, face in zip(clip, self.faces, strict=True)]
        yield Preview("frames", f"face {name}", step, np.stack(boxed))
        yield Preview("curve", f"likeness {name}", step, np.nan_to_num(self.similarity).astype(np.float64))


def likeness(clip: np.ndarray, wanted: np.ndarray, detector: Detector, recogniser: Recogniser) -> Likeness:
    """How alike the largest face in each frame of `clip` (T, H, W, 3) uint8 is to `wanted` (512,), which `recogniser` gave."""
    seen = [max(detector.detect(frame), key=lambda face: face.height, default=None) for frame in clip]
    similarity = np.full(len(clip), np.nan)
    if known := [index for index, face in enumerate(seen) if face is not None]:
        crops = np.stack([arcface_crop(clip[index], seen[index].landmarks, recogniser.size) for index in known])
        similarity[known] = recogniser.embed(crops) @ wanted
    return Likeness(tuple(seen), similarity)
