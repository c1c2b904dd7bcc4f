"""The face in a photograph, as an adapter wants it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.events import Preview
from pipelines.faces import Detector, arcface_crop, boxes_drawn, choose, eyes_remark, open_recogniser, pack, reference_crop, remarks
from pipelines.files import Files
from pipelines.methods.face_identity.request import FaceRequest
from pipelines.pictures import read_picture

if TYPE_CHECKING:
    from pipelines.methods.face_identity.card import Card


@dataclass(frozen=True, eq=False)
class Portrait:
    """One face of a photograph.

    Attributes:
        boxed: (H, W, 3) uint8 RGB: the photograph with all faces in numbered boxes.
        crop: (112, 112, 3) uint8, for the recogniser.
        reference: (S, S, 3) uint8, for the Ref-adapter.
        embedding: (512,) float32 of unit length.
        notes: what will make the likeness worse.
    """

    boxed: np.ndarray
    crop: np.ndarray
    reference: np.ndarray
    embedding: np.ndarray
    notes: tuple[str, ...]

    def previews(self) -> Iterator[Preview]:
        """All that was made of the photograph."""
        pictures = {"faces in the photo": self.boxed, "face for recognition": self.crop, "face for reference": self.reference}
        for name, picture in pictures.items():
            yield Preview("frames", name, 0, picture[None])


def portrait(request: FaceRequest, card: Card, files: Files) -> Portrait:
    """The face that `request` means, as the adapter of `card` wants it.

    Raises UserError in one sentence: no picture, no face, several that could be meant, models that are not there.
    """
    picture = read_picture(files.find(request.photo))
    detector = Detector.open(pack(request.pack).find(), embed=False)
    recogniser = open_recogniser(card.recogniser)
    faces = detector.detect(picture)
    face = choose(faces, request.face - 1 if request.face else None)
    crop = arcface_crop(picture, face.landmarks, recogniser.size)
    return Portrait(
        boxed=boxes_drawn(picture, faces),
        crop=crop,
        reference=reference_crop(picture, face.landmarks, card.crop),
        embedding=recogniser.embed(crop[None])[0],
        notes=(*remarks(face, picture.shape, recogniser.size), *filter(None, [eyes_remark(picture, face)])),
    )
