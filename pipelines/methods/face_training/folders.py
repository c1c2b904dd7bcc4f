"""People of one's own to learn from: a folder with a folder of pictures and clips for each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pipelines.errors import UserError
from pipelines.faces import Face, choose
from pipelines.methods.face_training.people import Photograph
from pipelines.methods.face_training.recorded import BUST, Eyes, People, faces_kept, faces_of, mark_of, similarities
from pipelines.methods.face_training.variations import edited, elsewhere, head
from pipelines.methods.generate.plan import snap_side
from pipelines.pictures import read_picture
from pipelines.playground.train.latents import cover
from pipelines.video import read_excerpt

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.models.registry import ModelEntry

MOST_PEOPLE, MOST_FILES = 1_000_000, 200
"""Of people in a folder, and of files that are looked at of each."""

CAPTION = "a person"
"""Of a picture without words of its own."""

LONGEST_CAPTION = 2000
LARGEST = 1024
"""Longest side of a picture while faces are looked for in it; a photograph has more pixels than anything here needs."""


@dataclass(frozen=True)
class Sight:
    """Something that shows a person.

    Attributes:
        file: a picture or a clip.
        caption: what its words file says, or CAPTION.
    """

    file: Path
    caption: str


def survey(folder: Path) -> list[list[Sight]]:
    """The people in `folder`, in order: its folders, each with pictures, clips and captions (`name.txt` beside `name.jpg`).

    Files are not opened here. Raises UserError where there is nobody.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder.name}: choose one that holds a folder for each person.")
    people = [_sights(one) for one in sorted(folder.iterdir())[:MOST_PEOPLE] if one.is_dir() and not one.name.startswith(".")]
    people = [sights for sights in people if sights]
    if not people:
        raise UserError(f"{folder.name} holds nobody: put a folder of pictures or clips into it for each person.")
    return people


def _sights(folder: Path) -> list[Sight]:
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith(".") and file.suffix != ".txt"]
    return [Sight(file, _caption(file)) for file in files[:MOST_FILES]]


def _caption(file: Path) -> str:
    try:
        with file.with_suffix(".txt").open(encoding="utf-8", errors="replace") as words:
            return " ".join(words.read(LONGEST_CAPTION).split()) or CAPTION
    except OSError:
        return CAPTION


@dataclass(frozen=True)
class Sizes:
    """What pictures and clips are brought to.

    Attributes:
        model: whose steps of size hold.
        width, height: in pixels; a picture keeps its proportions and has about as many.
        frames, fps: of clips.
    """

    model: ModelEntry
    width: int
    height: int
    frames: int
    fps: int

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width for a picture of this size."""
        shrink = (self.width * self.height / (height * width)) ** 0.5
        return snap_side(round(height * shrink), self.model), snap_side(round(width * shrink), self.model)


class FolderPeople(People):
    """The people of a `survey`. What cannot be read, or shows no face, is left out, and `problems` says why.

    Args:
        cache: folder for those of all models.
        eyes: who looks at the photographs.
    """

    def __init__(self, cache: Path, people: Sequence[Sequence[Sight]], backbone: Backbone, eyes: Eyes, sizes: Sizes) -> None:
        said = [(str(one.file), one.file.stat().st_size, one.file.stat().st_mtime_ns, one.caption) for sights in people for one in sights]
        which = hashlib.sha256(repr((said, sizes.width, sizes.height, sizes.frames, sizes.fps)).encode()).hexdigest()[:12]
        super().__init__(cache / f"people-{which}-{mark_of(backbone, eyes)}", len(people), backbone)
        self.people, self.eyes, self.sizes = people, eyes, sizes
        self.problems: list[str] = []

    def make(self, person: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
        shots, tensors, photographs, pictures = [], {}, [], []
        for sight in self.people[person]:
            try:
                frames, face = self._shown(sight.file)
            except UserError as error:
                self.problems.append(str(error))
                continue
            number = len(shots)
            draw = np.random.default_rng((177, person, number))
            kept = self._tensors(frames, sight.caption)
            tensors |= {f"{number}.{name}": value for name, value in kept.items()}
            shots.append((kept["latents"].shape[1], tuple(kept["latents"].shape[2:])))
            for origin, picture in photographs_from(frames, face, draw):
                photographs.append(Photograph(number, origin))
                pictures.append(picture)
        facts: dict[str, Any] = {"shots": shots, "photographs": [(one.shot, one.origin) for one in photographs], "similar": []}
        if not shots:
            return facts, {"embeddings": torch.zeros(0, 512)}
        embeddings, crops = faces_of(pictures, self.eyes)
        facts["similar"] = similarities(embeddings, photographs, len(shots)).round(4).tolist()
        return facts, tensors | faces_kept(embeddings, crops)

    def _shown(self, file: Path) -> tuple[list[np.ndarray], Face]:
        """Frames (H, W, 3) of a picture or clip, large enough to see faces, and the face in the first; UserError if it is no use."""
        frames = opened(file, self.sizes)
        try:
            return frames, choose(self.eyes.detector.detect(frames[0]))
        except UserError as error:
            raise UserError(f"{file.name} is left out: {error}") from error

    def _tensors(self, frames: Sequence[np.ndarray], caption: str) -> dict[str, Tensor]:
        """Latents (C, T', H', W'), cover (1, T', H', W') of the face in them, and the caption's states."""
        import cv2

        height, width = self.sizes.of(*frames[0].shape[:2])
        small = np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames])
        latents = self.backbone.encode_video(small)[0]
        masks = np.stack([self._mask(frame, height, width) for frame in frames])
        length = min(self.backbone.count_tokens(caption), self.backbone.text_length)
        text = self.backbone.encode_text([caption])[0, :length].half().cpu()
        kinds = ("still", "moving") if len(frames) > 1 else ("still",)
        kept = {"latents": latents.half().cpu(), "cover": torch.from_numpy(cover(masks, latents.shape[1:]))}
        return kept | {f"full {kind}": text.clone() for kind in kinds}

    def _mask(self, frame: np.ndarray, height: int, width: int) -> np.ndarray:
        """(height, width) uint8: where the face is, the rest of the head counting BUST; nothing where none is seen."""
        try:
            box = choose(self.eyes.detector.detect(frame)).box
        except UserError:
            return np.zeros((height, width), np.uint8)
        box = box * np.tile((width / frame.shape[1], height / frame.shape[0]), 2)
        y, x = np.mgrid[:height, :width]
        inside = (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])
        return np.round(255 * np.maximum(inside, BUST * head(box, height, width))).astype(np.uint8)


def photographs_from(frames: Sequence[np.ndarray], face: Face, draw: np.random.Generator) -> list[tuple[str, np.ndarray]]:
    """(origin, picture) of what a face is taken from: frames as they are, two of a clip, and the first in two other ways."""
    moments = (len(frames) // 2, len(frames) - 1) if len(frames) > 1 else (0,)
    plain = [("plain", frames[moment]) for moment in moments]
    return [*plain, ("crop", elsewhere(frames[0], face.box, draw)), ("edited", edited(frames[0], face.landmarks, draw))]


def opened(file: Path, sizes: Sizes) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 of a picture, or of the beginning of a clip, with LARGEST px a side or fewer. Raises UserError."""
    from PIL import Image, ImageOps

    try:
        picture = Image.fromarray(read_picture(file))
    except UserError:
        side = {"height": sizes.height, "width": sizes.width}
        large = {name: pixels * max(1, LARGEST // (2 * max(side.values()))) for name, pixels in side.items()}
        return list(read_excerpt(file, fps=sizes.fps, frames=sizes.frames, **large))
    shrink = min(1.0, LARGEST / max(picture.size))
    return [np.asarray(ImageOps.scale(picture, shrink) if shrink < 1 else picture)]
