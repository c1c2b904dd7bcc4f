"""Faces found in a picture, and which of them is meant.

Boxes are (4,) x1, y1, x2, y2; key points (5, 2) x, y: eyes, nose, corners of the mouth, left ones (as seen in the picture)
first. All in pixels of the picture; boxes and key points may reach a little beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import UserError
from pipelines.faces.align import arcface_crop
from pipelines.faces.packs import NEEDED, open_pack
from pipelines.faces.recognise import PackRecogniser

if TYPE_CHECKING:
    from insightface.model_zoo.scrfd import SCRFD

DETECTION_SIZE = 640
"""Side in pixels of the square that pictures are fitted into for detection (insightface's; Lynx's released code uses it)."""

SMALLER_SIZES = (128, 256)
"""For pictures that are smaller themselves, and to look once more: detectors miss faces that fill a large square."""

THRESHOLD = 0.5
"""Score from which on something counts as a face (insightface's)."""

SMALLEST = 16
"""Height of a face in pixels below which there is nothing to tell it by."""

SIMILAR = 0.7
"""Faces whose height is at least this share of the largest one's may be meant just as well."""

MOST_NUMBERED = 9
"""Faces that a person can be asked to choose from."""

EYE, COVERED = 0.16, 0.75
"""Radius that is looked at around an eye, as a share of their distance; and of the cheeks' brightness what covered eyes stay below."""

CUT_OFF = 0.1
"""Share of a box's side beyond the edge of the picture from which on the face counts as cut off."""


class NoFace(UserError):
    """No face is seen."""


class FaceTooSmall(UserError):
    """The face has too few pixels."""


class SeveralFaces(UserError):
    """Several faces could be meant, and which one was not said.

    Attributes:
        faces: all that were found.
        candidates: those that could be meant, as indices into `faces`.
    """

    def __init__(self, message: str, faces: Sequence[Face], candidates: Sequence[int]) -> None:
        super().__init__(message)
        self.faces, self.candidates = tuple(faces), tuple(candidates)


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture.

    Attributes:
        box: (4,) float32; landmarks: (5, 2) float32; see above.
        score: how sure the detector is, 0..1.
        embedding: (512,) float32 unit vector of the pack's own recogniser; None where it was not asked for.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    embedding: np.ndarray | None = None

    @property
    def width(self) -> float:
        return float(self.box[2] - self.box[0])

    @property
    def height(self) -> float:
        return float(self.box[3] - self.box[1])


@dataclass(frozen=True, eq=False)
class Detector:
    """Finds faces. May be used by several threads at once.

    Attributes:
        model: insightface's detector.
        recogniser: of the same pack; None: faces are found without embeddings.
        size: side of the square that pictures are fitted into, at most.
    """

    model: SCRFD
    recogniser: PackRecogniser | None = None
    size: int = DETECTION_SIZE

    @staticmethod
    def open(folder: Path, device: str = "auto", size: int = DETECTION_SIZE, embed: bool = True) -> Detector:
        """The detector of the pack in `folder`, with its recogniser if `embed` is set and it has one; `size` is a multiple of 32.

        Raises NotAvailable if there is no pack, UserError if it is damaged or its detector gives no key points.
        """
        analysis = open_pack(folder, device)
        found, known = (analysis.models.get(task) for task in NEEDED)
        if not getattr(found, "use_kps", False):
            raise UserError(f"The face detector in {folder} gives no key points: choose another pack.")
        found.prepare(ctx_id=0, input_size=(size, size), det_thresh=THRESHOLD)
        return Detector(found, PackRecogniser.of(folder, known) if embed and known else None, size)

    def detect(self, picture: np.ndarray) -> tuple[Face, ...]:
        """All faces in `picture` (H, W, 3) uint8 RGB, from left to right; none is an empty tuple.

        Pictures are fitted into a square of their own size or the next smaller ones until a face is seen.
        """
        reversed_colours = np.ascontiguousarray(picture[..., ::-1])  # insightface wants BGR
        for size in sizes_for(*picture.shape[:2], self.size):
            boxes, landmarks = self.model.detect(reversed_colours, input_size=(size, size))
            if len(boxes):
                order = np.argsort(boxes[:, 0] + boxes[:, 2], kind="stable")
                return self._faces(picture, boxes[order], landmarks[order])
        return ()

    def _faces(self, picture: np.ndarray, boxes: np.ndarray, landmarks: np.ndarray) -> tuple[Face, ...]:
        """`boxes` (N, 5) with scores, `landmarks` (N, 5, 2)."""
        embeddings: Sequence[np.ndarray | None] = [None] * len(boxes)
        if self.recogniser:
            crops = np.stack([arcface_crop(picture, points, self.recogniser.size) for points in landmarks])
            embeddings = self.recogniser.embed(crops)
        rows = zip(boxes, landmarks, embeddings, strict=True)
        return tuple(Face(box[:4], points, float(box[4]), embedding) for box, points, embedding in rows)


def sizes_for(height: int, width: int, largest: int = DETECTION_SIZE) -> tuple[int, ...]:
    """Sides to detect at, in turn: the smallest known one that a picture fits into unshrunk, else `largest`; then the smaller ones.

    None for a picture so narrow that nothing of it would be left.
    """
    longer, shorter = max(height, width), min(height, width)
    known = [size for size in SMALLER_SIZES if size < largest]
    enough = next((size for size in known if size >= longer), largest)
    smaller = [size for size in reversed(known) if size < enough]
    return tuple(size for size in (enough, *smaller) if shorter * size >= longer)


def choose(faces: Sequence[Face], index: int | None = None) -> Face:
    """The face that is meant: number `index` of `faces` (from 0), else the largest.

    Raises:
        NoFace: there is none.
        SeveralFaces: no index, and others are about as large.
        FaceTooSmall: it is less than SMALLEST pixels high.
        UserError: there is no face of that number.
    """
    if not faces:
        raise NoFace("No face is seen in the picture: choose one that shows a face from the front, larger and in good light.")
    if index is None:
        index = _largest(faces)
    elif not 0 <= index < len(faces):
        known = f"choose one from 1 to {len(faces)}" if len(faces) > 1 else "there is only one"
        raise UserError(f"There is no face {index + 1} in the picture: {known}.")
    face = faces[index]
    if face.height < SMALLEST:
        small = f"The face is only {face.height:.0f} px high, and {SMALLEST} px or more are needed"
        raise FaceTooSmall(f"{small}: choose a larger picture, or one taken from nearer.")
    return face


def _largest(faces: Sequence[Face]) -> int:
    """The index of the highest face. Raises SeveralFaces if others come close and any of them could be used."""
    heights = np.array([face.height for face in faces])
    candidates = np.flatnonzero(heights >= SIMILAR * heights.max()).tolist()
    if len(candidates) == 1 or heights.max() < SMALLEST:
        return int(heights.argmax())
    start = f"There are {len(candidates)} faces of similar size in the picture"
    if len(candidates) > MOST_NUMBERED:
        raise SeveralFaces(f"{start}: choose a picture of one person, or cut this one to the face that is meant.", faces, candidates)
    numbers = ", ".join(str(number + 1) for number in candidates[:-1]) + f" or {candidates[-1] + 1}"
    raise SeveralFaces(f"{start}: say which one is meant: {numbers}, counted from the left.", faces, candidates)


def remarks(face: Face, shape: tuple[int, ...], crop: int = 112) -> tuple[str, ...]:
    """Sentences on what will make the likeness worse: few pixels for a crop of side `crop`, a profile, a face cut off.

    Args:
        shape: (H, W, ...) of the picture.
    """
    found = []
    if face.height < crop / 2:
        found.append(f"The face is only {face.height:.0f} px high: with {crop / 2:.0f} px or more it will be known better.")
    if not 0 <= nose_place(face.landmarks) <= 1:
        found.append("The face is seen from the side: one that looks towards the camera will be known better.")
    if _cut_off(face, shape):
        found.append("The face is cut off at the edge of the picture: one that is whole will be known better.")
    return tuple(found)


def eyes_remark(picture: np.ndarray, face: Face) -> str:
    """A sentence for a face of `picture` (H, W, 3) uint8 whose eyes are behind dark glasses, "" for any other.

    Whites and glints make eyes bright somewhere, whatever the skin: behind dark glasses nothing there is as bright as the cheeks.
    """
    eyes, mouth = face.landmarks[:2], face.landmarks[3:]
    radius = EYE * float(np.linalg.norm(eyes[1] - eyes[0]))
    cheeks = [_seen(picture, point, radius) for point in (eyes + mouth) / 2]
    shown = [_seen(picture, point, radius) for point in eyes]
    if not all(part.size for part in (*cheeks, *shown)):
        return ""
    covered = max(part.max() for part in shown) < COVERED * float(np.mean([part.mean() for part in cheeks]))
    return "The eyes seem to be covered: a picture without sunglasses will be known better." if covered else ""


def _seen(picture: np.ndarray, point: np.ndarray, radius: float) -> np.ndarray:
    """Brightness of the pixels up to `radius` from `point` (2,) x, y."""
    y, x = np.ogrid[: picture.shape[0], : picture.shape[1]]
    return picture[np.hypot(x - point[0], y - point[1]) <= max(radius, 1)].mean(-1)


def nose_place(landmarks: np.ndarray) -> float:
    """Where the tip of the nose of `landmarks` (5, 2) lies along the line of the eyes: 0 at the left eye, 1 at the right one.

    About 0.5 in a frontal face, however it is tilted, and outside of 0..1 in a profile; infinite where the eyes coincide.
    """
    left, right, nose = np.asarray(landmarks, np.float64)[:3]
    between = right - left
    apart = float(between @ between)
    return float((nose - left) @ between / apart) if apart > 1e-9 else float("inf")


def _cut_off(face: Face, shape: tuple[int, ...]) -> bool:
    height, width = shape[:2]
    x1, y1, x2, y2 = face.box
    return max(-x1, x2 - width) > CUT_OFF * face.width or max(-y1, y2 - height) > CUT_OFF * face.height


BRIGHT, DARK = (255, 214, 10), (20, 20, 20)
SCREEN = (384, 1024)
"""Shortest and longest longer side in pixels of a picture with boxes: to be looked at."""


def boxes_drawn(picture: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
    """`picture` (H, W, 3) uint8 RGB with a box and a number, from 1, for each face; its longer side within SCREEN."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = picture.shape[:2]
    scale = float(np.clip(max(height, width), *SCREEN)) / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    line = max(2, round(max(size) / 200))
    font = ImageFont.load_default(max(14, max(size) / 24))
    for number, face in enumerate(faces, 1):
        x1, y1, x2, y2 = (float(side) * scale for side in face.box)
        draw.rectangle((x1 - 1, y1 - 1, max(x1, x2) + 1, max(y1, y2) + 1), outline=DARK, width=line + 2)
        draw.rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=BRIGHT, width=line)
        corner = (min(max(x1, 0), size[0] - font.size) + 2 * line, min(max(y1, 0), size[1] - font.size) + line)
        draw.text(corner, str(number), fill=BRIGHT, font=font, stroke_width=line, stroke_fill=DARK)
    return np.asarray(image)
