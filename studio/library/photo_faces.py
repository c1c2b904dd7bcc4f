"""The faces in a photo, as the page draws them over it."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.faces import Detector, Face, choose, remarks
from pipelines.pictures import read_picture
from studio.face_models import usable_pack

OPEN = 2
"""Detectors that stay open."""


def find_faces(pack_name: str, file: Path, target: Path) -> None:
    """Write `faces_in` of the picture in `file`, as JSON. Takes a moment: not for an event loop."""
    target.write_text(json.dumps(faces_in(pack_name, file)), encoding="utf-8")


def faces_in(pack_name: str, file: Path) -> dict[str, Any]:
    """The faces in a picture, from left to right.

    Returns:
        faces: per face its box (left, top, right, bottom) in shares of the picture, the problem that keeps it from being used
            ("" if there is none) and remarks on what will make the likeness worse.
        usual: the one that is meant when none is chosen, counted from 0; None if one must be chosen, or none can be.
        problem: the sentence that says so, "" if there is none.
    Raises UserError for face models that cannot be used.
    """
    picture = read_picture(file)
    faces = detector(pack_name).detect(picture)
    height, width = picture.shape[:2]
    problem = _problem(faces)
    usual = None if problem else faces.index(choose(faces))
    return {"faces": [_told(faces, place, height, width) for place in range(len(faces))], "usual": usual, "problem": problem}


def detector(pack_name: str) -> Detector:
    """The detector of a pack, opened once. Raises UserError for a pack that is not for visitors to choose."""
    return _open(usable_pack(pack_name).find())


@lru_cache(OPEN)
def _open(folder: Path) -> Detector:
    return Detector.open(folder, embed=False)


def _told(faces: tuple[Face, ...], place: int, height: int, width: int) -> dict[str, Any]:
    face = faces[place]
    x1, y1, x2, y2 = (float(side) for side in face.box)
    box = [round(min(max(share, 0.0), 1.0), 4) for share in (x1 / width, y1 / height, x2 / width, y2 / height)]
    return {"box": box, "problem": _problem(faces, place), "remarks": remarks(face, (height, width))}


def _problem(faces: tuple[Face, ...], place: int | None = None) -> str:
    """Why the face at `place`, or without one the usual one, cannot be used; "" if it can."""
    try:
        choose(faces, place)
    except UserError as error:
        return str(error)
    return ""
