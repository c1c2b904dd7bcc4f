"""Laws of face adapters on a whole model: what is off changes nothing, nothing is left behind, and each thing is made once."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from tiny_faces import adapter_for, conditions
from torch import Tensor

from pipelines.attention.sharing import sharing
from pipelines.backbones.processors import attend
from pipelines.errors import UserError
from pipelines.events import Preview, Progress
from pipelines.methods.face_identity.condition import Condition, Conditions
from pipelines.methods.face_identity.loop import Drawn, FaceSettings, generate_face
from pipelines.methods.face_identity.processors import identified

FRAMES, HEIGHT, WIDTH, STEPS = 5, 32, 48, 4


def settings(**values) -> FaceSettings:
    standard = {"prompt": "a ball", "negative_prompt": "a cube", "frames": FRAMES, "height": HEIGHT, "width": WIDTH, "steps": STEPS}
    return FaceSettings(**(standard | {"seed": 3} | values))


def draw(backbone, adapter, given: Conditions, **values) -> Tensor:
    *_, drawn = generate_face(backbone, adapter, given, settings(**values))
    assert isinstance(drawn, Drawn)
    return drawn.latents


@torch.no_grad()
def plain(backbone, guidance: float = 5.0) -> Tensor:
    text, empty = backbone.encode_text(["a ball", "a cube"]).chunk(2)
    latents = backbone.initial_noise(FRAMES, HEIGHT, WIDTH, 3)
    schedule = backbone.schedule(STEPS, latents, 3)
    for index, timestep in enumerate(schedule.timesteps):
        latents = schedule.step(backbone.guided(latents, timestep, text, empty, guidance), index, latents)
    return latents


@torch.no_grad()
def predict(backbone, rows: int = 1) -> Tensor:
    latents = backbone.initial_noise(FRAMES, HEIGHT, WIDTH, 0).expand(rows, -1, -1, -1, -1)
    return backbone.denoise(latents, torch.tensor(700), backbone.encode_text(["a red ball"]).expand(rows, -1, -1))


def traces(backbone) -> list:
    """Every module's hooks and attributes, and every processor."""
    modules = backbone.transformer.named_modules()
    left = [(name, len(module._forward_hooks) + len(module._forward_pre_hooks), tuple(vars(module))) for name, module in modules]
    return [left, {name: id(processor) for name, processor in backbone.transformer.attn_processors.items()}]


class Rows:
    """Counts rows and calls of the denoiser."""

    def __init__(self, backbone) -> None:
        self.seen: list[int] = []
        self._denoise, backbone.denoise = backbone.denoise, self

    def __call__(self, latents: Tensor, *rest) -> Tensor:
        self.seen.append(len(latents))
        return self._denoise(latents, *rest)


# --- what is off -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("arm", ["full", "lite"])
def test_scales_of_0_are_the_base_bit_for_bit(wan, arm: str, guidance: float) -> None:
    expected, adapter = plain(wan, guidance), adapter_for(wan, arm)
    given = conditions(wan, adapter)
    assert torch.equal(draw(wan, adapter, given, id_scale=0, ref_scale=0, guidance=guidance), expected)
    assert torch.equal(draw(wan, adapter, Conditions(Condition(), Condition()), guidance=guidance), expected)
    assert not torch.allclose(draw(wan, adapter, given, guidance=guidance), expected, atol=1e-3)


def test_a_fresh_adapter_is_the_base(wan) -> None:
    adapter = adapter_for(wan, alive=False)
    given, before = conditions(wan, adapter), predict(wan, 2)
    with identified(wan, adapter, [given.without, given.given]) as identity:
        assert not identity.silent
        assert torch.equal(predict(wan, 2), before)
    two = draw(wan, adapter, given, id_guidance=None)
    assert torch.equal(two, plain(wan))


def test_each_adapter_alone_both_and_none_work_and_differ(wan) -> None:
    adapter = adapter_for(wan)
    given = conditions(wan, adapter)
    drawn = [draw(wan, adapter, given, id_scale=one, ref_scale=other) for one in (0, 1) for other in (0, 1)]
    for index, one in enumerate(drawn):
        assert one.isfinite().all()
        assert all(not torch.allclose(one, other, atol=1e-3) for other in drawn[:index])
    without_reference = [Condition(tokens=part.tokens) for part in (given.without, given.given)]
    assert torch.equal(draw(wan, adapter, Conditions(*without_reference)), drawn[2])
    without_identity = [Condition(features=part.features) for part in (given.without, given.given)]
    assert torch.equal(draw(wan, adapter, Conditions(*without_identity)), drawn[1])


@pytest.mark.parametrize("parts", [{"identity": False}, {"reference": False}])
def test_adapters_of_one_part_work(wan, parts: dict[str, bool]) -> None:
    adapter = adapter_for(wan, **parts)
    drawn = draw(wan, adapter, conditions(wan, adapter))
    assert not torch.allclose(drawn, plain(wan), atol=1e-3)


def test_half_of_the_scale_is_between(wan) -> None:
    adapter = adapter_for(wan)
    given = conditions(wan, adapter)
    with identified(wan, adapter, [given.given]) as identity:
        whole = predict(wan)
        identity.id_scale = identity.ref_scale = 0.5
        half = predict(wan)
        identity.on = False
        none = predict(wan)
    assert torch.equal(none, predict(wan)) and not torch.equal(none, half)
    assert 0 < (half - none).norm() < (whole - none).norm()


# --- rows and steps --------------------------------------------------------------------------------------------------


def test_rows_have_conditions_of_their_own(wan) -> None:
    adapter = adapter_for(wan)
    one, other = conditions(wan, adapter, 1).given, conditions(wan, adapter, 2).given
    with identified(wan, adapter, [one]):
        alone = predict(wan)
    with identified(wan, adapter, [one, other]) as identity:
        both = predict(wan, 2)
        identity.show([1, 0, 0])
        three = predict(wan, 3)
        with pytest.raises(RuntimeError, match="rows"):
            predict(wan, 2)
    assert torch.allclose(both[:1], alone, atol=1e-5) and not torch.allclose(both[1:], alone, atol=1e-3)
    assert torch.allclose(three, both[[1, 0, 0]], atol=1e-5)


@torch.no_grad()
def test_one_step_is_the_three_passes_put_together(wan) -> None:
    """Each pass alone, by the formula of the paper's code."""
    adapter = adapter_for(wan)
    given = conditions(wan, adapter)
    text, empty = wan.encode_text(["a ball", "a cube"]).chunk(2)
    start = wan.initial_noise(FRAMES, HEIGHT, WIDTH, 3)
    schedule = wan.schedule(1, start, 3)
    made = []
    for condition, words in ((given.without, empty), (given.given, empty), (given.given, text)):
        with identified(wan, adapter, [condition]):
            made.append(wan.denoise(start, schedule.timesteps[0], words))
    u, i, c = made
    expected = schedule.step(u + 2 * (i - u) + 5 * (c - i), 0, start)
    assert torch.allclose(draw(wan, adapter, given, steps=1), expected, atol=1e-4)


def test_rows_of_a_step(wan) -> None:
    adapter = adapter_for(wan)
    given = conditions(wan, adapter)
    wanted = [
        ({}, [3] * STEPS), ({"id_guidance": None}, [2] * STEPS), ({"guidance": 1.0}, [1] * STEPS),
        ({"id_scale": 0, "ref_scale": 0}, [2] * STEPS), ({"first_step": 0.25, "last_step": 0.5}, [2, 3, 3, 2]),
    ]  # fmt: skip
    for values, expected in wanted:
        rows = Rows(wan)
        draw(wan, adapter, given, **values)
        assert rows.seen == expected, values
        wan.denoise = rows._denoise


def test_outside_of_its_window_an_adapter_is_silent(wan) -> None:
    adapter = adapter_for(wan)
    given, estimates = conditions(wan, adapter), []
    for values in ({"first_step": 0.5}, {"id_scale": 0, "ref_scale": 0}):
        events = generate_face(wan, adapter, given, settings(**values))
        estimates.append([event.array for event in events if isinstance(event, Preview)])
    same = [(one == other).all() for one, other in zip(*estimates, strict=True)]
    assert same == [True, True, False, False]


# --- made once -------------------------------------------------------------------------------------------------------


def test_keys_and_values_are_made_once_per_generation(wan) -> None:
    adapter, calls = adapter_for(wan), []
    for layer in (adapter.resampler, *adapter.ip_layers, *adapter.ref_layers):
        layer.register_forward_hook(lambda module, *_: calls.append(id(module)))
    given = conditions(wan, adapter)
    assert calls == [id(adapter.resampler)]  # nobody and somebody in one pass
    draw(wan, adapter, given)
    assert sorted(calls) == sorted(map(id, [adapter.resampler, *adapter.ip_layers, *adapter.ref_layers]))


# --- nothing is left -------------------------------------------------------------------------------------------------


def test_nothing_is_left_after_a_generation_an_error_or_a_cancellation(wan) -> None:
    adapter = adapter_for(wan)
    before, expected = traces(wan), predict(wan)
    given = conditions(wan, adapter)
    assert traces(wan) == before
    draw(wan, adapter, given)
    assert traces(wan) == before
    events = generate_face(wan, adapter, given, settings())
    assert isinstance(next(events), Progress) and isinstance(next(events), Preview)
    assert traces(wan) != before
    events.close()
    assert traces(wan) == before
    with pytest.raises(RuntimeError, match="memory"), identified(wan, adapter, [given.given]):
        raise RuntimeError("out of memory")
    assert traces(wan) == before and torch.equal(predict(wan), expected)
    assert all(type(processor) is WanAttnProcessor for processor in wan.transformer.attn_processors.values())


def test_nothing_is_left_when_a_reference_fails(wan, monkeypatch) -> None:
    adapter, before = adapter_for(wan), traces(wan)
    monkeypatch.setattr(wan.transformer.blocks[1].attn1.to_v, "forward", lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
    with pytest.raises(RuntimeError, match="memory"):
        conditions(wan, adapter)
    monkeypatch.undo()
    assert traces(wan) == before


def test_events_come_in_order(wan) -> None:
    adapter = adapter_for(wan)
    *events, drawn = generate_face(wan, adapter, conditions(wan, adapter), settings())
    progress = [event for event in events if isinstance(event, Progress)]
    previews = [event for event in events if isinstance(event, Preview)]
    assert [event.step for event in progress] == list(range(STEPS + 1)) and progress[-1].seconds_left == 0
    assert [event.step for event in previews] == list(range(STEPS)) and previews[0].array.dtype == "uint8"
    assert drawn.latents.shape == wan.initial_noise(FRAMES, HEIGHT, WIDTH, 0).shape


# --- with others -----------------------------------------------------------------------------------------------------


def test_an_edit_of_self_attention_that_was_there_stays(wan) -> None:
    adapter = adapter_for(wan)
    given = conditions(wan, adapter)
    with identified(wan, adapter, [given.given]):
        alone = predict(wan)
    with sharing(wan, [0, 1, 2]) as shared:
        with identified(wan, adapter, [given.given]) as identity:
            assert torch.equal(predict(wan), alone)
            shared.set(1, lambda query, key, value: attend(query, key, value * 2))
            edited = predict(wan)
            identity.on = False
            without = predict(wan)
        assert torch.equal(predict(wan), without)
    assert not torch.allclose(edited, alone, atol=1e-3) and not torch.allclose(edited, without, atol=1e-3)


def test_gradients_reach_the_adapter_and_nothing_else(wan) -> None:
    adapter = adapter_for(wan).requires_grad_(True)
    given = conditions(wan, adapter)
    tokens = adapter.resampler(torch.randn(1, 24))
    latents = wan.initial_noise(FRAMES, HEIGHT, WIDTH, 0)
    with identified(wan, adapter, [Condition(tokens, given.given.features)]):
        wan.denoise(latents, torch.tensor(700), wan.encode_text(["a red ball"])).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in adapter.parameters())
    assert all(parameter.grad is None for parameter in wan.transformer.parameters())


def test_what_cannot_be_worn_is_said_in_a_sentence(wan, cogvideox) -> None:
    adapter = adapter_for(wan)
    given = conditions(wan, adapter).given
    with pytest.raises(UserError, match="Wan family"), identified(cogvideox, adapter, [given]):
        pass
    with identified(wan, adapter, [given]), pytest.raises(UserError, match="edited already"), identified(wan, adapter, [given]):
        pass
    wan.transformer.blocks[0].attn1.fuse_projections()
    with pytest.raises(UserError, match="fused"), identified(wan, adapter, [given]):
        pass
