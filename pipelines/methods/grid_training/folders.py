"""One's own clips as concepts: a folder holds a folder for each concept, with clips of it and a text file beside each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import UserError
from pipelines.methods.grid.prompt import clean

if TYPE_CHECKING:
    import torch

    from pipelines.backbones.base import Backbone
    from pipelines.events import Progress
    from pipelines.methods.grid_training.examples import Concept

SUFFIXES = {".mp4", ".mov", ".webm", ".mkv", ".avi", ".gif", ".png"}
MOST_CONCEPTS, MOST_CLIPS, LONGEST_TEXT = 10_000, 64, 2000


@dataclass(frozen=True)
class Sight:
    """A clip on disk and its words."""

    file: Path
    words: str


def survey(folder: Path, least: int) -> list[list[Sight]]:
    """The clips of each concept in `folder`, by name.

    Args:
        least: clips of a concept at least.
    Raises UserError in one sentence for a folder without concepts, or one with too few clips or without words.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder.name[:80]}: choose the one with a folder for each concept.")
    found = [_clips(part) for part in sorted(folder.iterdir()) if part.is_dir() and not part.name.startswith(".")]
    concepts = [clips for clips in found if clips]
    if not concepts or len(concepts) > MOST_CONCEPTS:
        raise UserError(f"{folder.name[:80]} holds {len(concepts)} folders with clips: make one for each concept, at most {MOST_CONCEPTS}.")
    for clips in concepts:
        if len(clips) < least:
            raise UserError(f"{clips[0].file.parent.name[:80]} holds {len(clips)} clips and a grid needs {least} of a concept: add some.")
    return concepts


def _clips(folder: Path) -> list[Sight]:
    files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES and file.is_file()]
    return [Sight(file, _words(file)) for file in files[:MOST_CLIPS]]


def _words(file: Path) -> str:
    text = file.with_suffix(".txt")
    try:
        words = clean(text.read_bytes()[:LONGEST_TEXT].decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file.name[:80]} has no words: write what it shows into {text.name[:80]} beside it.") from error
    return words


@dataclass(frozen=True)
class Pace:
    """Frames, height and width of what is read of a clip, and moments per second."""

    frames: int
    height: int
    width: int
    fps: int

    def read(self, file: Path) -> np.ndarray:
        """(T, H, W, 3) uint8. Raises UserError for what is no clip."""
        from pipelines.video import read_excerpt

        return read_excerpt(file, fps=self.fps, frames=self.frames, height=self.height, width=self.width)


class FolderConcepts:
    """Concepts from folders, see `Source` and `dynamic.Clips`; each is read when it is first asked for.

    Args:
        concepts: as `survey` gives them.
    """

    def __init__(self, backbone: Backbone, concepts: Sequence[Sequence[Sight]], pace: Pace) -> None:
        self.backbone, self.concepts, self.pace = backbone, concepts, pace
        self._read: dict[int, dict[str, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self.concepts)

    def prepare(self) -> Iterator[Progress]:
        """Read all of them; they are kept in memory, as small as latents are."""
        from pipelines.events import Progress

        for number in range(len(self)):
            yield Progress("reading the clips", number, len(self), unit="concepts")
            self.tensors(number)

    def tensors(self, number: int) -> dict[str, torch.Tensor]:
        """By the names of `Concept` and of `dynamic.Clips.clip`."""
        if number not in self._read:
            self._read[number] = self._make(self.concepts[number])
        return self._read[number]

    def _make(self, clips: Sequence[Sight]) -> dict[str, torch.Tensor]:
        import torch

        shown = [self.pace.read(clip.file) for clip in clips]
        latents = torch.cat([self.backbone.encode_video(frames) for frames in shown])
        words = self.backbone.encode_text([clip.words for clip in clips])
        values = {"latents": latents, "cover": torch.zeros_like(latents[:, :1]), "full": words, "brief": words}
        return {name: value.half().cpu() for name, value in values.items()}

    def concept(self, number: int) -> Concept:
        """See `Source.concept`."""
        from pipelines.methods.grid_training.examples import Concept

        return Concept(**self.tensors(number))


class FolderClips(FolderConcepts):
    """The first clip of each concept to be learnt by name: its folder's, see `dynamic.Clips`."""

    def _make(self, clips: Sequence[Sight]) -> dict[str, torch.Tensor]:
        import torch

        from pipelines.methods.grid.prompt import Clause
        from pipelines.methods.grid_training.dynamic import FRAMES_EACH

        first, name = clips[0], clips[0].file.parent.name
        frames = self.pace.read(first.file)
        moments = np.linspace(0, len(frames) - 1, FRAMES_EACH).round().astype(int)
        latents = self.backbone.encode_video(frames)[0]
        stills = torch.cat([self.backbone.encode_video(frames[[moment]]) for moment in moments])
        text = self.backbone.encode_text([Clause(first.words, name, name).said])[0]
        covers = {"cover": torch.zeros_like(latents[:1]), "covers": torch.zeros_like(stills[:, :1])}
        values = {"latents": latents, "frames": stills, "text": text} | covers
        return {name: value.half().cpu() for name, value in values.items()}

    def clip(self, number: int, what: str) -> torch.Tensor:
        """See `dynamic.Clips.clip`."""
        return self.tensors(number)[what]
