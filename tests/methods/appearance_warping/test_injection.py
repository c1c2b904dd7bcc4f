"""Injection: a clip's own values change nothing, masks bound the change, and nothing stays behind."""

from __future__ import annotations

import pytest
import torch

from pipelines.attention.edits import recording
from pipelines.attention.maps import TextMaps, find_tokens
from pipelines.backbones.inversion import invert
from pipelines.methods.appearance_warping.injection import Trust, injecting
from pipelines.methods.appearance_warping.reference import Reference, Wanted, describing, record_reference, reference_clip

STEPS = 4
PROMPT = "a red ball rolls over the grass"
WANTED = Wanted("plain", 1, (1, 2), (1, 2))


def generate(backbone, reference: Reference | None = None, trust: Trust | None = None, guidance: float = 3.0, wanted: Wanted = WANTED):
    """Last latents of a generation, and what was seen at each step."""
    latents = backbone.initial_noise(9, 32, 48, 0)
    schedule, (text, empty) = backbone.schedule(STEPS, latents), backbone.encode_text([PROMPT, ""]).chunk(2)
    tokens = find_tokens(backbone.pipeline.tokenizer, PROMPT, "ball")
    seen = []
    with torch.no_grad():
        if reference is None:
            for index, timestep in enumerate(schedule.timesteps):
                latents = schedule.step(backbone.guided(latents, timestep, text, empty, guidance), index, latents)
            return latents, seen
        with injecting(backbone, latents, tokens, reference, wanted, trust or Trust(masked=False), 2 if guidance > 1 else 1) as injection:
            for index, timestep in enumerate(schedule.timesteps):
                seen.append(injection.before(index, latents))
                prediction = backbone.guided(latents, timestep, text, empty, guidance)
                injection.after(latents)
                latents = schedule.step(prediction, index, latents)
    return latents, seen


def itself(backbone, wanted: Wanted = WANTED) -> Reference:
    """What an unguided generation says, as a reference."""
    latents = backbone.initial_noise(9, 32, 48, 0)
    schedule, text = backbone.schedule(STEPS, latents), backbone.encode_text([PROMPT])
    layout = backbone.tokens(latents)
    features = {}
    with (
        torch.no_grad(),
        describing(backbone, layout, wanted) as described,
        recording(backbone.blocks(), "value", layout, layers=wanted.value_layers) as values,
    ):
        for index, timestep in enumerate(schedule.timesteps):
            prediction = backbone.denoise(latents, timestep, text)
            features[index] = described.latest(latents)
            values.keep(index)
            latents = schedule.step(prediction, index, latents)
    return Reference(features, {where: kept[0, layout.text :] for where, kept in values.kept.items()})


def another(backbone, frames: int = 9, wanted: Wanted = WANTED) -> Reference:
    """An inverted picture."""
    picture = (torch.rand(32, 48, 3, generator=torch.Generator().manual_seed(5)) * 255).byte().numpy()
    clean = backbone.encode_video(reference_clip(picture, frames))
    *progress, reference = record_reference(backbone, clean, STEPS, backbone.encode_text([PROMPT]), wanted)
    assert [event.step for event in progress] == [1, 2, 3] and progress[-1].total == 3
    return reference


def test_a_clips_own_values_change_nothing(backbone) -> None:
    """Unit vectors are nearest to themselves, so every token finds itself and is given its own values."""
    wanted = Wanted("output", 1, (1, 2), (1, 2))
    plain, _ = generate(backbone, guidance=1)
    same, seen = generate(backbone, itself(backbone, wanted), guidance=1, wanted=wanted)
    side = seen[1].matches.grid[1] * seen[1].matches.grid[2]
    assert (seen[1].matches.to_reference == torch.arange(side)).all()
    assert torch.allclose(same, plain, atol=1e-4)


@pytest.mark.parametrize("descriptor", ["plain", "rotated", "output"])
def test_each_descriptor_has_matches_of_its_own(backbone, descriptor) -> None:
    wanted = Wanted(descriptor, 1, (1, 2), (1, 2))
    _, seen = generate(backbone, another(backbone, wanted=wanted), wanted=wanted)
    assert seen[1].matches.to_reference.unique().numel() > 1


def test_injection_changes_the_clip_at_the_chosen_steps_only(backbone) -> None:
    plain, _ = generate(backbone)
    changed, seen = generate(backbone, another(backbone))
    assert [step is not None for step in seen] == [False, True, True, False]
    assert not torch.allclose(changed, plain, atol=1e-3)


def test_where_nothing_can_be_trusted_the_generation_is_untouched(backbone) -> None:
    plain, _ = generate(backbone)
    same, seen = generate(backbone, another(backbone), Trust(foreground=1.0))
    assert not seen[1].mask.any()
    assert torch.equal(same, plain)


def test_the_mask_is_what_both_checks_allow(backbone) -> None:
    _, seen = generate(backbone, another(backbone), Trust(foreground=0.2, cycle=2.0))
    for step in filter(None, seen):
        assert torch.equal(step.mask, step.foreground & step.cycle)
        assert torch.equal(step.foreground, step.attention > 0.2)
        assert step.attention.min() == 0 and step.attention.max() == 1


def test_a_reference_of_one_frame_serves_the_whole_clip(backbone) -> None:
    one = another(backbone, frames=1)
    changed, seen = generate(backbone, one)
    assert torch.isfinite(changed).all() and seen[1].matches.grid[0] > 1


def test_nothing_stays_behind_after_an_error(backbone) -> None:
    before = [(name, len(module._forward_hooks), tuple(module._buffers)) for name, module in backbone.transformer.named_modules()]
    with pytest.raises(KeyError):
        generate(backbone, Reference({}, {}))
    after = [(name, len(module._forward_hooks), tuple(module._buffers)) for name, module in backbone.transformer.named_modules()]
    assert before == after


def test_recorded_during_the_inversion_is_what_a_second_branch_would_say(backbone) -> None:
    """The features of step t are those of a forward pass over the inverted trajectory's latents at t."""
    picture = (torch.rand(32, 48, 3, generator=torch.Generator().manual_seed(5)) * 255).byte().numpy()
    clean, text = backbone.encode_video(reference_clip(picture, 9)), backbone.encode_text([PROMPT])
    *_, recorded = record_reference(backbone, clean, STEPS, text, WANTED)
    schedule, layout = backbone.schedule(STEPS, clean), backbone.tokens(clean)
    trajectory = dict(invert(backbone, clean, schedule, text, WANTED.passed(STEPS)))
    with (
        torch.no_grad(),
        describing(backbone, layout, WANTED) as described,
        recording(backbone.blocks(), "value", layout, layers=WANTED.value_layers, steps=WANTED.steps) as values,
    ):
        for index in sorted(trajectory):
            backbone.denoise(trajectory[index], schedule.timesteps[index], text)
            values.keep(index)
            if index in recorded.features:
                branch = described.latest(clean)
                assert torch.allclose(branch.query, recorded.features[index].query, atol=1e-5)
                assert torch.allclose(branch.key, recorded.features[index].key, atol=1e-5)
    assert recorded.values.keys() == values.kept.keys()
    assert all(torch.allclose(recorded.values[where], kept[0, layout.text :], atol=1e-5) for where, kept in values.kept.items())


@pytest.mark.parametrize(("stride", "steps"), [(1, [*range(1, 24)]), (4, [*range(1, 10), 13, 17, 21])])
def test_the_inversion_passes_through_what_is_needed_and_few_levels_below(stride, steps) -> None:
    wanted = Wanted("plain", 1, (1, 2), range(2, 10), stride=stride)
    assert wanted.passed(24) == steps
    assert Wanted("plain", 1, (1, 2), ()).passed(24) == []


def test_nothing_is_looked_at_once_nothing_more_is_injected(backbone, monkeypatch) -> None:
    reference, looks, add = another(backbone), [], TextMaps.add
    monkeypatch.setattr(TextMaps, "add", lambda maps, latents: looks.append(latents) or add(maps, latents))
    _, seen = generate(backbone, reference)
    assert sum(step is not None for step in seen) == 2
    assert len(looks) == max(WANTED.steps)
