"""Snapping with visible notes, and estimates, without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines.errors import UserError
from pipelines.methods.generate import cost
from pipelines.methods.generate.plan import check, estimate, plan, snap_frames, snap_side
from pipelines.methods.generate.request import GenerateRequest
from pipelines.models.registry import entries, entry

WAN = entry("playground-wan")


def request(**values) -> GenerateRequest:
    return GenerateRequest(prompt="a red ball", **values)


@pytest.mark.parametrize("model", entries(), ids=lambda model: model.name)
def test_whatever_is_asked_fits_the_model_afterwards(model):
    for asked in (16, 17, 40, 100, 333, 720, 2048):
        side = snap_side(asked, model)
        assert side % model.size_multiple == 0 and model.min_size <= side <= model.max_size
        assert snap_side(side, model) == side
    for asked in (1, 2, 3, 16, 17, 50, 257):
        frames = snap_frames(asked, model)
        assert (frames - 1) % model.frame_step == 0 and 1 <= frames <= model.max_frames
        assert snap_frames(frames, model) == frames


@pytest.mark.parametrize("model", entries(), ids=lambda model: model.name)
def test_a_models_defaults_need_no_snapping(model):
    assert plan(request(**model.defaults()), model).notes == ()


def test_each_change_has_its_note():
    planned = plan(request(width=70, height=64, frames=16), WAN)
    assert (planned.request.width, planned.request.height, planned.request.frames) == (64, 64, 17)
    assert len(planned.notes) == 2
    assert "70 px became 64 px" in planned.notes[0] and "16 frames became 17" in planned.notes[1]
    assert planned.request.prompt == "a red ball"


def test_a_negative_prompt_without_guidance_is_pointed_out():
    assert plan(request(negative_prompt="snow", guidance=1.0), WAN).notes[0].startswith("The negative prompt has no effect")
    assert plan(request(negative_prompt="snow", guidance=2.0), WAN).notes == ()


@pytest.mark.parametrize("prompt", ["", "  \n\t"])
def test_an_empty_prompt_is_a_sentence(prompt):
    with pytest.raises(UserError, match="prompt is empty"):
        check(GenerateRequest(prompt=prompt))


def test_operations_of_the_published_model():
    """Wan2.1 1.3B at 480p and 81 frames: 283 TFLOP for one forward pass."""
    model = entry("wan2.1-1.3b")
    forward, _ = cost.operations(request(width=832, height=480, frames=81, steps=1, guidance=1.0), model, cost.shape_of(model))
    assert forward == pytest.approx(283e12, rel=0.1)


def test_more_costs_more():
    base = estimate(request(), WAN, True)
    for more in ({"steps": 40}, {"width": 128}, {"frames": 33}):
        assert estimate(request(**more), WAN, True).seconds > base.seconds
    assert estimate(request(guidance=1.0), WAN, True).seconds < base.seconds
    assert base.download_bytes == 0 and estimate(request(), WAN, False).download_bytes == WAN.bytes
    assert 0 < base.memory_bytes < 3e9


def test_planning_imports_no_torch():
    code = "import sys, pipelines.methods.generate.plan; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
