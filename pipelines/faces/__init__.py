"""Faces in pictures: found, told apart, brought into place and turned into numbers.

    picture = pipelines.pictures.read_picture(file)         # (H, W, 3) uint8 RGB, upright
    face = choose(Detector.open(pack("playground-faces").find()).detect(picture))
    identity = open_recogniser("playground-faces").embed(arcface_crop(picture, face.landmarks)[None])
    reference = reference_crop(picture, face.landmarks, 256)

Nothing here downloads anything. Choosing and aligning need no torch.
"""

from pipelines.faces.align import arcface_crop, reference_crop
from pipelines.faces.detect import Detector, Face, FaceTooSmall, NoFace, SeveralFaces, boxes_drawn, choose, eyes_remark, remarks
from pipelines.faces.packs import FacePack, pack, packs
from pipelines.faces.recognise import Recogniser, open_recogniser

__all__ = [
    "Detector",
    "Face",
    "FacePack",
    "FaceTooSmall",
    "NoFace",
    "Recogniser",
    "SeveralFaces",
    "arcface_crop",
    "boxes_drawn",
    "choose",
    "eyes_remark",
    "open_recogniser",
    "pack",
    "packs",
    "reference_crop",
    "remarks",
]
