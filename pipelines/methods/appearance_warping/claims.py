"""What V-Warper claims of its injection and its adaptation (Table 2, Fig. 3), on held-out instances of the world.

The world can draw the very instance in the very scene, so identity is a gain: 0 is the model without the subject, 1 the true
picture, both as the judge sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from pipelines.evaluation.judge import Judge
from pipelines.evaluation.metrics import is_dynamic, outside_change, similarity, track_correlation
from pipelines.evaluation.rows import Row
from pipelines.evaluation.segmenter import Segmenter, centroids
from pipelines.events import Result
from pipelines.methods.appearance_warping.request import PersonaliseRequest
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.subject_adaptation.request import AdaptRequest
from pipelines.methods.subject_adaptation.subject import read_subject
from pipelines.models.registry import ModelEntry
from pipelines.playground.render import render
from pipelines.playground.scene import HELD_OUT_INSTANCES, HELD_OUT_SEEDS, Scene, instance, sample_scene, still
from pipelines.playground.subjects import Toy
from pipelines.playground.train.stills import look
from pipelines.playground.vocabulary import MOTIONS, PLACES
from pipelines.requests import Request

Run = Callable[[Request], Result]
"""Runs a request to its end."""

REFERENCES = 5
SCENES = 4
"""Clips of each instance."""

WAYS = ("off", "warp", "warp-unmasked", "key-value", "concat")
BARS = {"identity gain, warp": 0.5}
SLOWEST = {"adaptation": 300.0, "warp": 40.0}
"""Seconds."""

MOVING = ("left", "right", "rise", "fall", "bounce", "jump", "circle", "swing")


@dataclass(frozen=True)
class Case:
    """A clip that is asked for.

    Attributes:
        words: how it moves and where, without the subject.
        seed: of the generation.
        truth: (T, H, W, 3) uint8, the instance in that scene.
    """

    words: str
    seed: int
    truth: np.ndarray


def case_of(toy: Toy, index: int, shape: tuple[int, int, int]) -> Case:
    """The `index`-th case of an instance: a held-out scene, the camera at rest, one of the motions in turn."""
    scene = sample_scene(HELD_OUT_SEEDS[1000 + index], "instance")
    motion = MOVING[index % len(MOVING)]
    shown = replace(scene, camera="static", effects=(), subjects=(_as(toy, scene, motion),))
    return Case(f"{MOTIONS[motion][0]} {PLACES[scene.background][0]}", index, render(shown, *shape).frames)


def reference_pictures(toy: Toy, number: int, size: int = 128) -> list[np.ndarray]:
    """REFERENCES pictures (size, size, 3) uint8 of the instance at rest in other held-out scenes."""
    scenes = [sample_scene(HELD_OUT_SEEDS[2000 + number * REFERENCES + index], "instance") for index in range(REFERENCES)]
    shown = [still(replace(scene, effects=(), subjects=(_as(toy, scene, "still"),))) for scene in scenes]
    return [render(scene, 1, size, size).frames[0] for scene in shown]


def _as(toy: Toy, scene: Scene, motion: str) -> Toy:
    """The scene's subject with the looks of `toy`."""
    return replace(scene.subjects[-1], **look(toy), motion=motion)


class Claims:
    """The measurements of one model.

    Args:
        adapting: settings of the adaptations beside the standard preset's.
    """

    def __init__(self, model: ModelEntry, run: Run, judge: Judge, segmenter: Segmenter, adapting: dict[str, object] | None = None) -> None:
        self.model, self.run, self.judge, self.segmenter, self.adapting = model, run, judge, segmenter, adapting or {}
        self.shape = (model.default_frames, model.default_height, model.default_width)
        self.costs: dict[str, list[float]] = {}

    def rows(self, instances: int) -> Iterator[Row]:
        """All rows, over `instances` held-out instances and SCENES clips of each; errors are over instances."""
        with TemporaryDirectory() as folder:
            toys = [instance(HELD_OUT_INSTANCES[index]) for index in range(instances)]
            subjects = [self.learn(toy, index, Path(folder) / f"{index}") for index, toy in enumerate(toys)]
            frozen = [self.learn(toy, index, Path(folder) / f"{index}-query", adapt_query=True) for index, toy in enumerate(toys)]
            parts = [self.one(toy, index, subjects, frozen[index]) for index, toy in enumerate(toys)]
        for name in parts[0]:
            if known := _finite(part[name] for part in parts):
                yield Row.of(f"{self.model.name}: {name}", known, BARS.get(name))
        for name, values in self.costs.items():
            yield Row.of(f"{self.model.name}: {name}", values)
        yield from self._bars(parts)

    def _bars(self, parts: Sequence[dict[str, float]]) -> Iterator[Row]:
        """What has to be kept, or not exceeded, when a subject comes in."""
        mean = {name: float(np.mean(_finite(part[name] for part in parts))) for name in parts[0]}
        control = [-gain for gain in _finite(part["identity gain, another subject"] for part in parts)]
        yield Row.of(f"{self.model.name}: control, identity gain of another subject, negative", control, -0.1)
        if plain := mean["dynamic degree, not adapted"]:
            kept = mean["dynamic degree, warp"] / plain
            yield Row.of(f"{self.model.name}: dynamic degree, share of that not adapted", [kept], 0.85)
        for name, seconds in SLOWEST.items():
            taken = [-value for value in self.costs[f"seconds, {name}"]]
            yield Row.of(f"{self.model.name}: seconds, {name}, negative", taken, -seconds)

    def costing(self, name: str, request: Request) -> Result:
        """Run `request` and remember what it took under `name`."""
        result = self.run(request)
        self.costs.setdefault(f"seconds, {name}", []).append(result.values["seconds"])
        self.costs.setdefault("peak memory in GB", []).append(result.values["peak_bytes"] / 1e9)
        return result

    def learn(self, toy: Toy, number: int, folder: Path, **settings: object) -> Path:
        """Adapt to the instance; the subject's folder."""
        pictures = folder.with_name(f"pictures-{folder.name}")
        pictures.mkdir(parents=True)
        for index, pixels in enumerate(reference_pictures(toy, number)):
            Image.fromarray(pixels).save(pictures / f"{index}.png")
        values = {"model": self.model.name, "name": f"rex {number}", "class_word": toy.shape, "folder": str(folder)}
        sizes = {"height": self.model.default_height, "width": self.model.default_width}
        images = {"images": [str(file) for file in sorted(pictures.iterdir())]}
        self.costing("adaptation", AdaptRequest.read(values | sizes | images | self.adapting | settings))
        return folder

    def one(self, toy: Toy, number: int, subjects: Sequence[Path], frozen: Path) -> dict[str, float]:
        """Every figure of one instance, the mean over its cases."""
        wanted, tables = self.judge.embed(np.stack(reference_pictures(toy, number))), []
        for index in range(SCENES):
            case = case_of(toy, number * SCENES + index, self.shape)
            clips = self.clips(toy, case, subjects[number], subjects[number - 1], frozen)
            tables.append(self.figures(toy, case, clips, wanted))
        known = {name: _finite(table[name] for table in tables) for name in tables[0]}
        mean = {name: float(np.mean(values)) if values else float("nan") for name, values in known.items()}
        low, high = mean["identity, not adapted"], mean["identity, true picture"]
        gains = {name: (mean[f"identity, {name}"] - low) / (high - low) for name in (*WAYS, "another subject")}
        return mean | {f"identity gain, {name}": gain for name, gain in gains.items()}

    def clips(self, toy: Toy, case: Case, subject: Path, other: Path, frozen: Path) -> dict[str, np.ndarray]:
        """The case drawn in every way, all from one noise."""
        base = {"model": self.model.name, "seed": case.seed} | self.model.defaults()
        plain = GenerateRequest.read(base | {"prompt": f"a {toy.shape} {case.words}"})
        clips = {"not adapted": self.costing("not adapted", plain).frames}
        asked = {name: (subject, name) for name in WAYS} | {"another subject": (other, "warp"), "queries too": (frozen, "off")}
        for name, (folder, way) in asked.items():
            prompt = f"a {read_subject(folder).phrase} {case.words}"
            request = PersonaliseRequest.read(base | {"prompt": prompt, "subject": str(folder), "injection": way})
            clips[name] = self.costing(name, request).frames
        return clips

    def figures(self, toy: Toy, case: Case, clips: dict[str, np.ndarray], wanted: np.ndarray) -> dict[str, float]:
        """The figures of one case; `wanted` (M, E) are embeddings of the references."""
        noun = f"a {toy.shape}"
        masks = {name: self.segmenter.masks(clips[name], noun) for name in ("not adapted", "off", "queries too")}
        tracks = {name: centroids(mask) for name, mask in masks.items()}
        found = {f"identity, {name}": similarity(self.judge.embed(clip), wanted) for name, clip in clips.items()}
        found["identity, true picture"] = similarity(self.judge.embed(case.truth), wanted)
        for name in ("not adapted", *WAYS):
            found[f"agreement with the prompt, {name}"] = self.judge.similarity(clips[name], f"{noun} {case.words}")
        for name in WAYS[1:]:
            found[f"change outside of the subject, {name}"] = outside_change(clips[name], clips["off"], masks["off"] >= 0.5)
        for name in ("not adapted", "off", "warp", "queries too"):
            found[f"dynamic degree, {name}"] = float(is_dynamic(clips[name]))
        for name in ("off", "queries too"):
            found[f"track like that of the model not adapted, {name}"] = track_correlation(tracks["not adapted"], tracks[name])
        return found


def _finite(values: Iterable[float]) -> list[float]:
    """Those that could be measured."""
    return [value for value in values if np.isfinite(value)]
