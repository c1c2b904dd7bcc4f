"""The judge: a small CLIP, and heads that name what pictures of the world show, and how good it is at that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.evaluation.rows import Row
from pipelines.evaluation.verification import verification
from pipelines.models.registry import ROOT

if TYPE_CHECKING:
    import torch

    from pipelines.playground.looking import Looking
    from pipelines.playground.scene import Scene

FOLDER = ROOT / "assets" / "models" / "playground-judge"
BARS = {"shape": 0.97, "colour": 0.97, "background": 0.97}
FRAMES = 5
"""Frames of a clip that the judge looks at to name its attributes."""

BATCH = 64


@dataclass(frozen=True)
class Judge:
    """What `load` gives.

    Attributes:
        model: the CLIPModel, in float32.
        pictures: turns frames into pixel values; words: the tokenizer.
        looking: the attribute heads.
    """

    model: Any
    pictures: Any
    words: Any
    looking: Looking

    @staticmethod
    def load(folder: Path = FOLDER) -> Judge:
        """The judge of `folder`: a CLIPModel with its processor, heads.json and heads.safetensors."""
        import torch
        from safetensors.torch import load_file
        from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

        from pipelines.playground.looking import Looking

        looking = Looking(json.loads((folder / "heads.json").read_text())["attributes"])
        looking.load_state_dict({name: value.float() for name, value in load_file(folder / "heads.safetensors").items()})
        model = CLIPModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
        pictures, words = CLIPImageProcessorPil.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        return Judge(model, pictures, words, looking.eval())

    @property
    def names(self) -> dict[str, list[str]]:
        """Attribute -> the names it takes."""
        return self.looking.names

    def attributes(self, frames: np.ndarray) -> dict[str, tuple[str, float]]:
        """Attribute -> (likeliest name, its probability) of frames (T, H, W, 3) uint8: logits are averaged over a few of them.

        All attributes are answered, also those that what is seen does not have, such as the shape of a person.
        """
        told = self.look(frames[np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)])
        shares = {attribute: told[attribute].mean(0).softmax(0) for attribute in self.names}
        return {attribute: (self.names[attribute][int(share.argmax())], float(share.max())) for attribute, share in shares.items()}

    def look(self, frames: np.ndarray) -> dict[str, torch.Tensor]:
        """What `Looking` tells of frames (T, H, W, 3) uint8, BATCH frames at a time."""
        import torch

        with torch.no_grad():
            parts = [self.looking(self.pixels(frames[at : at + BATCH])) for at in range(0, len(frames), BATCH)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def similarity(self, frames: np.ndarray, caption: str) -> float:
        """Mean cosine, -1..1, between the embeddings of frames (T, H, W, 3) uint8 and of `caption` (CLIP score without its factor)."""
        import torch

        with torch.no_grad():
            image = self.model.visual_projection(self.features(frames))
            tokens = self.words([caption], truncation=True, return_tensors="pt")
            text = self.model.text_projection(self.model.text_model(**tokens).pooler_output)
        return float(torch.cosine_similarity(image, text).mean())

    def embed(self, frames: np.ndarray) -> np.ndarray:
        """(T, E) float32 unit vectors of frames (T, H, W, 3) uint8: near each other where one particular toy or person is seen."""
        return self.look(frames)["same"].numpy()

    def pixels(self, frames: np.ndarray) -> torch.Tensor:
        """(T, 3, S, S) normalised, of frames (T, H, W, 3) uint8."""
        return self.pictures(list(frames), return_tensors="pt").pixel_values

    def features(self, frames: np.ndarray) -> torch.Tensor:
        """(T, W) pooled vision features of frames (T, H, W, 3) uint8, BATCH frames at a time."""
        import torch

        parts = []
        with torch.no_grad():
            for at in range(0, len(frames), BATCH):
                parts.append(self.model.vision_model(pixel_values=self.pixels(frames[at : at + BATCH])).pooler_output)
        return torch.cat(parts)


def rows(judge: Judge, count: int = 512, size: tuple[int, int] = (64, 64)) -> Iterator[Row]:
    """How often the judge is right about `count` held-out scenes rendered at `size` = (height, width) pixels.

    Attributes are named from clips of FRAMES frames, each of one subject; pairs are compared by a frame each.
    """
    from pipelines.playground.render import render

    families = list(held_out_families(count))
    clips = [[render(scene, FRAMES, *size).frames for scene in family] for family in families]
    told = [
        (scene, judge.attributes(clip))
        for family, shown in zip(families, clips, strict=True)
        for scene, clip in zip(family, shown, strict=True)
    ]
    for attribute in judge.names:
        right = [names[attribute][0] == scene.labels()[attribute] for scene, names in told if _asked(scene, attribute)]
        if right:
            yield Row.of(f"judge: {attribute} told right on real renderings", right, bar=BARS.get(attribute))
    yield from _verification_rows(judge, families, clips)


def held_out_families(count: int) -> Iterator[list[Scene]]:
    """Families (see `train.stills`) of held-out scenes, `count` scenes in all."""
    from pipelines.playground.scene import HELD_OUT_SEEDS
    from pipelines.playground.train.stills import FAMILY, family

    return (family(HELD_OUT_SEEDS[at]) for at in range(0, count, FAMILY))


def _asked(scene: Scene, attribute: str) -> bool:
    """Whether `attribute` has one answer in `scene`."""
    return attribute in scene.labels() and len(scene.subjects) == 1


def _verification_rows(judge: Judge, families: Sequence[list[Scene]], clips: Sequence[list[np.ndarray]]) -> Iterator[Row]:
    """Whether two pictures of different scenes show one particular subject, by the cosine of their embeddings."""
    from pipelines.playground.train.stills import look

    kinds: dict[str, tuple[list[float], list[float]]] = {}
    for family, shown in zip(families, clips, strict=True):
        first, third = look(family[0].subjects[-1]), look(family[2].subjects[-1])
        if not first or len(family[0].subjects) > 1:
            continue
        kind = "one person" if "identity" in first else "one toy" if _differ(first, third) else "one emblem on toys that look alike"
        a, again, b, b_again = judge.embed(np.stack([clip[len(clip) // 2] for clip in shown]))
        same, different = kinds.setdefault(kind, ([], []))
        same += [float(a @ again), float(b @ b_again)]
        different += [float(a @ b_again), float(b @ again)]
    for kind, (same, different) in sorted(kinds.items()):
        yield Row.of(f"judge: {kind} known again in another scene (held out)", verification(same, different))


def _differ(first: dict[str, object], second: dict[str, object]) -> bool:
    return any(first[name] != second[name] for name in first if name != "emblem")
