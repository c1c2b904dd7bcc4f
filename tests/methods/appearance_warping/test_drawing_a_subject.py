"""A clip of a subject: off is the adapted model itself, and every picture of the decisions has its shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.attention.windows import step_window
from pipelines.events import Preview, Progress
from pipelines.methods.appearance_warping.generate import Clip, Fine, draw_subject
from pipelines.methods.appearance_warping.injection import Trust
from pipelines.methods.subject_adaptation.pictures import fit
from pipelines.methods.subject_adaptation.subject import Subject, adapted
from pipelines.methods.subject_adaptation.train import Plan, adapt

CLIP = Clip("a <rex> ball rolls over the grass", 32, 48, 9, 5, 3.0, 0)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


@pytest.fixture
def folder(backbone, picture, tmp_path: Path) -> Path:
    subject = Subject(name="Rex", class_word="ball", token="<rex>", model="tiny", rank=4, alpha=4)
    list(adapt(backbone, subject, [picture], tmp_path, Plan(steps=2, batch=1, rate=1e-2, height=32, width=48)))
    return tmp_path


def draw(backbone, folder: Path, picture: np.ndarray, fine: Fine):
    with adapted(backbone, folder, "tiny") as subject:
        *events, latents = draw_subject(backbone, subject, picture, CLIP, fine)
    return events, latents


def plain(backbone, folder: Path) -> torch.Tensor:
    with adapted(backbone, folder, "tiny"), torch.no_grad():
        text, empty = backbone.encode_text([CLIP.prompt, ""]).chunk(2)
        latents = backbone.initial_noise(CLIP.frames, CLIP.height, CLIP.width, CLIP.seed)
        schedule = backbone.schedule(CLIP.steps, latents, CLIP.seed)
        for index, timestep in enumerate(schedule.timesteps):
            latents = schedule.step(backbone.guided(latents, timestep, text, empty, CLIP.guidance), index, latents)
    return latents


def test_without_injection_it_is_the_adapted_model(backbone, folder: Path, picture: np.ndarray) -> None:
    events, latents = draw(backbone, folder, picture, Fine(inject=False))
    assert torch.equal(latents, plain(backbone, folder))
    assert {event.name for event in events if isinstance(event, Preview)} == {"denoised"}


@pytest.mark.parametrize("whole", [True, False])
def test_everything_that_decides_is_on_view(backbone, folder: Path, picture: np.ndarray, whole: bool) -> None:
    fine = Fine(trust=Trust(masked=False), whole_reference=whole)
    events, latents = draw(backbone, folder, picture, fine)
    assert not torch.allclose(latents, plain(backbone, folder), atol=1e-3)
    grid = backbone.tokens(latents).grid
    shapes = {event.name: event.array.shape for event in events if isinstance(event, Preview)}
    masks = ("attention to the subject", "foreground mask", "cycle mask", "injection mask")
    assert all(shapes[name] == grid for name in masks)
    assert all(shapes[name] == (*grid, 2) for name in ("flow to the reference", "flow from the reference"))
    assert all(shapes[name] == (*grid, 3) for name in ("correspondence", "warped reference", "warped reference, masked"))
    assert np.array_equal(next(event.array for event in events if isinstance(event, Preview)), fit(picture, 32, 48)[None])
    assert shapes["reference"] == (1, 32, 48, 3)
    inverting = [event for event in events if isinstance(event, Progress) and "inverting" in event.phase]
    assert [event.step for event in inverting] == list(range(1, inverting[-1].total + 1))


def test_from_the_first_step_on_it_matches_that_step(backbone, folder: Path, picture: np.ndarray) -> None:
    fine = Fine(trust=Trust(masked=False), steps=step_window(0, 1, of=5))
    events, _ = draw(backbone, folder, picture, fine)
    assert {event.step for event in events if getattr(event, "name", "") == "correspondence"} == {0, 1}


def test_a_stop_in_the_middle_leaves_the_model_as_it_was(backbone, folder: Path, picture: np.ndarray) -> None:
    before = {name: (id(module), len(module._forward_hooks)) for name, module in backbone.transformer.named_modules()}
    with adapted(backbone, folder, "tiny") as subject:
        events = draw_subject(backbone, subject, picture, CLIP, Fine())
        next(event for event in events if getattr(event, "name", "") == "denoised")
        events.close()
    assert before == {name: (id(module), len(module._forward_hooks)) for name, module in backbone.transformer.named_modules()}
