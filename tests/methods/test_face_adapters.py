"""The parts of a face adapter against formulas written out by hand, on the released shapes and on small ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig
from tiny_faces import CHANNELS, QUERIES, REGISTERS, SIDE, adapter_for, conditions, face, pair, released_resampler
from torch import Tensor

from pipelines.backbones.adapters import lora
from pipelines.methods.face_identity.condition import conditions_of
from pipelines.methods.face_identity.guidance import combined, passes
from pipelines.methods.face_identity.modules import FULL, LITE, FaceAdapter, Resampler, ResamplerSizes
from pipelines.methods.face_identity.processors import identified
from pipelines.methods.face_identity.reference import PROMPT, features_of, grey


def shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def test_names_and_shapes_of_the_released_weights() -> None:
    with torch.device("meta"):
        full, lite = FaceAdapter(FULL), FaceAdapter(LITE)
    assert shapes(full.resampler) == released_resampler(5120)
    assert shapes(lite.resampler) == released_resampler(2048)
    registers = {f"{block}.registers": (1, 16, 5120) for block in range(40)}
    assert shapes(full.ip_layers) == registers | {k: v for n in range(40) for k, v in pair(n, "ip", (5120, 5120)).items()}
    assert shapes(lite.ip_layers) == {k: v for n in range(20) for k, v in pair(n, "ip", (5120, 2048), bias=False).items()}
    assert shapes(full.ref_layers) == {k: v for n in range(40) for k, v in pair(n, "ref", (5120, 5120)).items()}
    assert not shapes(lite.ref_layers)
    assert next(full.parameters()).is_meta


def test_training_starts_from_silent_projections_and_small_registers(wan) -> None:
    adapter = adapter_for(wan, alive=False)
    for name, value in adapter.named_parameters():
        if ".to_" in name and not name.startswith("resampler"):
            assert not value.any(), name
    with torch.random.fork_rng():
        torch.manual_seed(0)
        large = FaceAdapter(FULL.__class__(width=256, ip_layers=4, ref_layers=0, resampler=ResamplerSizes(output=256)))
    registers = torch.cat([layer.registers for layer in large.ip_layers])
    assert abs(registers.std().item() * 256**0.5 - 1) < 0.05 and abs(registers.mean().item()) < 0.005


# --- the resampler ---------------------------------------------------------------------------------------------------


def by_hand(resampler: Resampler, embedding: Tensor, heads: int) -> Tensor:
    """The perceiver one query and one head at a time."""
    w = resampler.state_dict()

    def norm(x: Tensor, name: str) -> Tensor:
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["proj_in.weight"] @ embedding + w["proj_in.bias"]
    latents = w["latents"][0]
    for layer in range(len(resampler.layers)):
        at = f"layers.{layer}.0"
        queries = norm(latents, f"{at}.norm2")
        seen = torch.stack([norm(x, f"{at}.norm1"), *queries])
        q = queries @ w[f"{at}.to_q.weight"].T
        inner = q.shape[1]
        k, v = seen @ w[f"{at}.to_kv.weight"][:inner].T, seen @ w[f"{at}.to_kv.weight"][inner:].T
        out = torch.empty_like(q)
        for head in range(heads):
            part = slice(64 * head, 64 * head + 64)
            for row in range(len(q)):
                scores = torch.tensor([q[row, part] @ key / math.sqrt(64) for key in k[:, part]])
                weights = scores.exp() / scores.exp().sum()
                out[row, part] = weights @ v[:, part]
        latents = latents + out @ w[f"{at}.to_out.weight"].T
        at = f"layers.{layer}.1"
        hidden = norm(latents, f"{at}.0") @ w[f"{at}.1.weight"].T
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        latents = latents + hidden @ w[f"{at}.3.weight"].T
    return norm(latents @ w["proj_out.weight"].T + w["proj_out.bias"], "norm_out")


@torch.no_grad()
def test_the_resampler_is_the_perceiver_written_out(one_thread) -> None:
    torch.manual_seed(0)
    resampler = Resampler(ResamplerSizes(embedding=10, width=24, depth=2, heads=2, queries=4, output=12))
    for parameter in resampler.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
    embedding = torch.randn(2, 10)
    tokens = resampler(embedding)
    assert tokens.shape == (2, 4, 12)
    for row in range(2):
        assert torch.allclose(tokens[row], by_hand(resampler, embedding[row], heads=2), atol=1e-5)


def test_the_playgrounds_resampler_takes_embeddings_of_512() -> None:
    resampler = Resampler(ResamplerSizes(width=128, depth=2, heads=2, output=192))
    assert resampler(torch.zeros(1, 512)).shape == (1, 16, 192)


# --- attention -------------------------------------------------------------------------------------------------------


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, one row and head at a time; all (rows, N, C)."""
    out = torch.empty_like(query)
    size = query.shape[2] // heads
    for row in range(len(query)):
        for head in range(heads):
            part = slice(size * head, size * head + size)
            scores = query[row, :, part] @ key[row, :, part].T / math.sqrt(size)
            out[row, :, part] = scores.softmax(-1) @ value[row, :, part]
    return out


def rms(x: Tensor, epsilon: float, weight: Tensor | float = 1.0) -> Tensor:
    return x * (x.pow(2).mean(-1, keepdim=True) + epsilon).rsqrt() * weight


def linear(layer: torch.nn.Linear, x: Tensor) -> Tensor:
    return x @ layer.weight.T + (0 if layer.bias is None else layer.bias)


def rope(backbone) -> tuple[Tensor, Tensor]:
    return backbone.transformer.rope(backbone.initial_noise(9, 32, 48, 0))


def states(backbone, tokens: int, seed: int = 0) -> Tensor:
    """States (2, N, C) as a block may have them."""
    return torch.randn(2, tokens, backbone.blocks()[0].width("output"), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("arm", ["full", "lite"])
@torch.no_grad()
def test_the_id_adapter_is_summed_with_the_text_before_the_output(wan, arm: str) -> None:
    adapter = adapter_for(wan, arm)
    given = conditions(wan, adapter)
    block = wan.blocks()[2].cross
    attn, x, text = block.attention, states(wan, 5), states(wan, 7, 1)
    layer = adapter.ip_layers[1 if arm == "lite" else 2]  # entry 1 of the lite arm is block 2
    with identified(wan, adapter, [given.without, given.given]) as identity:
        identity.id_scale = 0.7
        out = attn(x, text)
    tokens = torch.cat([given.without.tokens, given.given.tokens])
    if arm == "full":
        tokens = torch.cat([tokens, layer.registers.expand(2, -1, -1)], 1)
    key, value = linear(layer.to_k_ip, tokens), linear(layer.to_v_ip, tokens)
    assert key.shape[1] == QUERIES + (REGISTERS if arm == "full" else 0)
    key = rms(key, 1e-5) if arm == "lite" else rms(key, attn.norm_k.eps, attn.norm_k.weight)
    query = rms(linear(attn.to_q, x), attn.norm_q.eps, attn.norm_q.weight)
    own = attention(query, rms(linear(attn.to_k, text), attn.norm_k.eps, attn.norm_k.weight), linear(attn.to_v, text), block.heads)
    expected = linear(attn.to_out[0], own + 0.7 * attention(query, key, value, block.heads))
    assert torch.allclose(out, expected, atol=1e-5)


@torch.no_grad()
def test_the_ref_adapter_asks_with_queries_that_are_not_rotated(wan) -> None:
    adapter = adapter_for(wan)
    given = conditions(wan, adapter)
    block, layer = wan.blocks()[1], adapter.ref_layers[1]
    rotary = rope(wan)
    attn, x = block.attention, states(wan, rotary[0].shape[1])
    silent = attn(x, None, None, rotary)
    with identified(wan, adapter, [given.without, given.given]) as identity:
        identity.ref_scale = 0.4
        out = attn(x, None, None, rotary)
    features = torch.cat([given.without.features[1], given.given.features[1]])
    key = rms(linear(layer.to_k_ref, features), attn.norm_k.eps, attn.norm_k.weight)
    query = rms(linear(attn.to_q, x), attn.norm_q.eps, attn.norm_q.weight)
    face = attention(query, key, linear(layer.to_v_ref, features), block.heads)
    assert torch.allclose(out, silent + 0.4 * face @ attn.to_out[0].weight.T, atol=1e-5)


@torch.no_grad()
def test_what_the_ref_adapter_adds_does_not_depend_on_rope(wan) -> None:
    adapter = adapter_for(wan)
    given = conditions(wan, adapter)
    attn, rotary = wan.blocks()[0].attention, rope(wan)
    x, moved = states(wan, rotary[0].shape[1]), (rotary[0].roll(5, 1), rotary[1].roll(5, 1))
    before = [attn(x, None, None, angles) for angles in (rotary, moved)]
    with identified(wan, adapter, [given.without, given.given]):
        after = [attn(x, None, None, angles) for angles in (rotary, moved)]
    added = [one - other for one, other in zip(after, before, strict=True)]
    assert not torch.allclose(before[0], before[1], atol=1e-3)
    assert torch.allclose(added[0], added[1], atol=1e-5) and added[0].abs().max() > 0.1


@torch.no_grad()
def test_registers_are_of_their_layer_and_come_after_the_identity(wan) -> None:
    adapter = adapter_for(wan)
    tokens = conditions(wan, adapter).given.tokens
    plain = [layer(tokens) for layer in adapter.ip_layers]
    adapter.ip_layers[1].registers += 1
    changed = [layer(tokens) for layer in adapter.ip_layers]
    for number, (one, other) in enumerate(zip(plain, changed, strict=True)):
        assert torch.equal(one.key[:, :QUERIES], other.key[:, :QUERIES])
        assert torch.equal(one.key[:, QUERIES:], other.key[:, QUERIES:]) == (number != 1)
    nobody = conditions(wan, adapter).without.tokens
    assert torch.equal(adapter.ip_layers[1](nobody).key[:, QUERIES:], changed[1].key[:, QUERIES:])


def test_entry_n_of_the_lite_arm_sits_in_block_2n(wan) -> None:
    adapter = adapter_for(wan, "lite", reference=False)
    own, given = dict(wan.transformer.attn_processors), conditions(wan, adapter)
    with identified(wan, adapter, [given.given]):
        changed = {name for name, processor in wan.transformer.attn_processors.items() if processor is not own[name]}
    assert len(adapter.ip_layers) == 2 and changed == {"blocks.0.attn2.processor", "blocks.2.attn2.processor"}


# --- conditions ------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_nobody_is_what_the_resampler_makes_of_zeros_and_a_grey_picture(wan) -> None:
    adapter = adapter_for(wan)
    embedding, crop = face()
    made = conditions_of(wan, adapter, embedding, crop)
    assert torch.allclose(made.without.tokens, adapter.resampler(torch.zeros(1, CHANNELS)), atol=1e-6)
    assert torch.allclose(made.given.tokens, adapter.resampler(torch.from_numpy(embedding)[None]), atol=1e-6)
    assert made.without.tokens.abs().max() > 0.1
    black = wan.vae.encode(torch.zeros(1, 3, 1, SIDE, SIDE)).latent_dist.mode()
    assert torch.equal(wan.encode_video(grey(SIDE)[None]), wan._normalise(black))
    alone = features_of(wan, [grey(SIDE)])[0]
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(made.without.features, alone, strict=True))


@torch.no_grad()
def test_features_are_the_modulated_norm_at_noise_level_0(wan) -> None:
    """Of the first block: its input is known without running the model's blocks."""
    _, crop = face()
    first, *_, last = features_of(wan, [crop])[0]
    model = wan.transformer
    latents = wan.encode_video(crop[None])
    x = model.patch_embedding(latents).flatten(2).transpose(1, 2)
    temb = model.condition_embedder(torch.tensor([0]), wan.encode_text([PROMPT]))[1].unflatten(1, (6, -1))
    shift, scale = (model.blocks[0].scale_shift_table + temb).chunk(6, 1)[:2]
    assert torch.allclose(first, F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift, atol=1e-5)
    assert first.shape == last.shape == (1, (SIDE // 8) ** 2, wan.blocks()[0].width("output"))
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


@torch.no_grad()
def test_the_reference_is_looked_at_without_the_users_lora(wan) -> None:
    _, crop = face()
    expected = features_of(wan, [crop])[0]
    config = LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
    with lora(wan, config, None):
        layers = [module for module in wan.transformer.modules() if hasattr(module, "scaling")]
        scalings = [dict(layer.scaling) for layer in layers]
        assert all(torch.equal(one, other) for one, other in zip(features_of(wan, [crop])[0], expected, strict=True))
        assert scalings == [layer.scaling for layer in layers] and all(scaling["subject"] for scaling in scalings)


def test_arrays_of_other_shapes_are_refused(wan) -> None:
    adapter = adapter_for(wan)
    embedding, crop = face()
    with pytest.raises(ValueError, match="embedding"):
        conditions_of(wan, adapter, np.zeros(512, np.float32), crop)
    with pytest.raises(ValueError, match="reference"):
        conditions_of(wan, adapter, embedding, crop[:16, :16])


# --- guidance --------------------------------------------------------------------------------------------------------


def test_three_passes_two_or_one() -> None:
    u, i, c = (torch.tensor([float(value)]) for value in (1, 10, 100))
    predictions = {"unconditional": u, "identity": i, "conditional": c}
    assert passes(5, 2) == ("unconditional", "identity", "conditional")
    assert combined(predictions, 5, 2).item() == 1 + 2 * (10 - 1) + 5 * (100 - 10)
    assert passes(5, None) == passes(5, 5) == ("unconditional", "conditional")
    assert combined(predictions, 5, None).item() == combined(predictions, 5, 5).item() == 1 + 5 * (100 - 1)
    assert 1 + 5 * (10 - 1) + 5 * (100 - 10) == 1 + 5 * (100 - 1)  # why two are enough where both weights are equal
    assert passes(1, 2) == passes(1, None) == ("conditional",)
    assert combined(predictions, 1, 2).item() == 100
