"""The reference in the sequence: against an explicit computation of the whole sequence, and its laws."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import pytest
import torch
from diffusers.models.embeddings import get_3d_sincos_pos_embed
from tiny_models import TEXT, tiny_cogvideox
from torch import Tensor

from pipelines.attention.sharing import sharing
from pipelines.backbones.cogvideox import CogVideoXBackbone
from pipelines.backbones.processors import attend
from pipelines.errors import UserError
from pipelines.methods.zero_shot_subject.reference_stream import predict

FRAMES, HEIGHT, WIDTH = 3, 4, 6
SIDE = HEIGHT * WIDTH
"""Tokens of a latent frame of 8 x 12, the size that the tiny model was made for."""


@dataclass(frozen=True)
class Given:
    """Two rows of everything."""

    latents: Tensor
    timestep: Tensor
    text: Tensor
    reference: Tensor

    @staticmethod
    def drawn() -> Given:
        torch.manual_seed(1)
        shapes = (2, 4, FRAMES, 8, 12), (2, TEXT, 32), (2, 4, 1, 8, 12)
        latents, text, reference = (torch.randn(shape) for shape in shapes)
        return Given(latents, torch.tensor([700, 300]), text, reference)

    def row(self, index: int) -> tuple[Tensor, ...]:
        return tuple(part[index : index + 1] for part in (self.latents, self.timestep, self.text, self.reference))

    @property
    def parts(self) -> tuple[Tensor, ...]:
        return self.latents, self.timestep, self.text, self.reference


@pytest.fixture(params=[True, False], ids=["rotary", "sine-cosine"])
def either(request: pytest.FixtureRequest, one_thread) -> CogVideoXBackbone:
    return CogVideoXBackbone(tiny_cogvideox(rotary=request.param))


def some(count: int) -> Tensor:
    """(2, count) numbers of tokens, others in each row."""
    draw = torch.Generator().manual_seed(2)
    return torch.stack([torch.randperm(SIDE, generator=draw)[:count] for _ in range(2)])


# --- the sequence, token by token ------------------------------------------------------------------------------------


def explicit(backbone, latents: Tensor, timestep: Tensor, text: Tensor, reference: Tensor, kept: list[int]) -> Tensor:
    """The prediction of one row: text | reference | video as the paper has it, every token with a place (slot, y, x) of its own."""
    model, places = backbone.transformer, [(slot, y, x) for slot in range(FRAMES + 1) for y in range(HEIGHT) for x in range(WIDTH)]
    chosen = kept + list(range(SIDE, len(places)))
    frames = torch.cat([reference, latents], 2)[0].transpose(0, 1)  # (1 + T', C, H', W')
    tokens = torch.cat([model.patch_embed.proj(frame[None])[0].flatten(1).T for frame in frames])
    if not model.config.use_rotary_positional_embeddings:
        tokens = tokens + sine_cosine(tokens.shape[1])
    temb = model.time_embedding(model.time_proj(timestep))
    words, states = model.patch_embed.text_proj(text), tokens[None, chosen]
    for block in model.transformer_blocks:
        words, states = through(block, words, states, temb, [places[number] for number in chosen], model.config)
    video = model.proj_out(model.norm_out(model.norm_final(states[:, len(kept) :]), temb=temb))  # (1, T' * h * w, 2 * 2 * C)
    patches = video.view(FRAMES, HEIGHT, WIDTH, 4, 2, 2)
    return patches.permute(3, 0, 1, 4, 2, 5).reshape(latents.shape)


def sine_cosine(width: int) -> Tensor:
    return get_3d_sincos_pos_embed(width, (WIDTH, HEIGHT), FRAMES + 1, 1.875, 1.0, output_type="pt").flatten(0, 1).float()


def through(block, words: Tensor, states: Tensor, temb: Tensor, places: list, config) -> tuple[Tensor, Tensor]:
    """One block; the reference's tokens are modulated as the video's, and all attend to all."""
    normed, normed_words, gate, words_gate = block.norm1(states, words, temb)
    joined = torch.cat([normed_words, normed], 1)
    query, key, value = (make(joined)[0].unflatten(1, (config.num_attention_heads, -1)) for make in projections(block.attn1))
    query, key = block.attn1.norm_q(query), block.attn1.norm_k(key)
    if config.use_rotary_positional_embeddings:
        query, key = (turned(part, places) for part in (query, key))
    scores = torch.einsum("qhd,khd->hqk", query, key) / query.shape[-1] ** 0.5
    seen = torch.einsum("hqk,khd->qhd", scores.softmax(-1), value).flatten(1)[None]
    seen, text = block.attn1.to_out[0](seen), words.shape[1]
    states, words = states + gate * seen[:, text:], words + words_gate * seen[:, :text]
    normed, normed_words, gate, words_gate = block.norm2(states, words, temb)
    return words + words_gate * block.ff(normed_words), states + gate * block.ff(normed)


def projections(attention) -> tuple:
    return attention.to_q, attention.to_k, attention.to_v


def turned(features: Tensor, places: list) -> Tensor:
    """RoPE of the last tokens of (N, heads, d): d / 4 channels for the slot, 3 d / 8 each for row and column, base 10000."""
    turned, first, d = features.clone(), len(features) - len(places), features.shape[-1]
    for number, place in enumerate(places):
        start = 0
        for position, share in zip(place, (d // 4, d // 8 * 3, d // 8 * 3), strict=True):
            for pair in range(0, share, 2):
                angle, at = position / 10000 ** (pair / share), start + pair
                even, odd = features[first + number, :, at], features[first + number, :, at + 1]
                turned[first + number, :, at] = even * cos(angle) - odd * sin(angle)
                turned[first + number, :, at + 1] = even * sin(angle) + odd * cos(angle)
            start += share
    return turned


@torch.no_grad()
@pytest.mark.parametrize("count", [None, 0, 7])
def test_it_is_the_sequence_of_the_paper(either, count: int | None) -> None:
    given, kept = Given.drawn(), None if count is None else some(count)
    found = predict(either, *given.parts, kept=kept)
    for index in range(2):
        tokens = list(range(SIDE)) if kept is None else kept[index].tolist()
        assert torch.allclose(found[index], explicit(either, *given.row(index), tokens)[0], atol=1e-4)


# --- laws ------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_without_a_reference_it_is_the_plain_prediction(either) -> None:
    latents, timestep, text, _ = Given.drawn().parts
    assert torch.equal(predict(either, latents, timestep, text), either.denoise(latents, timestep, text))


@torch.no_grad()
def test_all_tokens_kept_is_none_dropped(either) -> None:
    given = Given.drawn()
    found = predict(either, *given.parts, kept=torch.arange(SIDE).expand(2, -1))
    assert torch.allclose(found, predict(either, *given.parts), atol=1e-6)


@torch.no_grad()
def test_a_reference_that_nobody_sees_is_none(cogvideox) -> None:
    """Masked out of attention it is as if dropped: the plain prediction with the video in slots 1..T', whatever the reference is.

    In slots 0..T' - 1 it would be another, because text tokens, which have no slot, stay where they are.
    """
    latents, timestep, text, reference = Given.drawn().parts

    def unseen(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return attend(query, *(torch.cat([part[:, :, :TEXT], part[:, :, TEXT + SIDE :]], 2) for part in (key, value)))

    with sharing(cogvideox, range(len(cogvideox.blocks()))) as edits:
        for block in cogvideox.blocks():
            edits.set(block.index, unseen)
        masked, other = (predict(cogvideox, latents, timestep, text, one) for one in (reference, -2 * reference))
    assert torch.allclose(masked, other, atol=1e-5)
    assert not torch.allclose(masked, predict(cogvideox, *Given.drawn().parts), atol=1e-3)
    dropped = predict(cogvideox, latents, timestep, text, reference, kept=torch.empty(2, 0, dtype=torch.long))
    assert torch.allclose(masked, dropped, atol=1e-5)
    slots = cogvideox._rotary(torch.cat([reference, latents], 2))
    shifted = cogvideox.transformer(
        latents.transpose(1, 2), text, timestep, image_rotary_emb=tuple(part[SIDE:] for part in slots), return_dict=False
    )[0]
    assert torch.allclose(masked, shifted.transpose(1, 2), atol=1e-5)
    assert not torch.allclose(masked, cogvideox.denoise(latents, timestep, text), atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("count", [None, 5])
def test_rows_know_nothing_of_each_other(either, count: int | None) -> None:
    given, kept = Given.drawn(), None if count is None else some(count)
    rows = [predict(either, *given.row(index), kept=None if kept is None else kept[index : index + 1]) for index in range(2)]
    assert torch.allclose(predict(either, *given.parts, kept=kept), torch.cat(rows), atol=1e-4)


@torch.no_grad()
def test_one_reference_serves_all_rows(cogvideox) -> None:
    latents, timestep, text, reference = Given.drawn().parts
    same = reference[:1].repeat(2, 1, 1, 1, 1)
    assert torch.equal(predict(cogvideox, latents, timestep, text, reference[:1]), predict(cogvideox, latents, timestep, text, same))


@torch.no_grad()
def test_the_order_of_kept_tokens_does_not_matter(cogvideox) -> None:
    given, kept = Given.drawn(), some(6)
    assert torch.allclose(predict(cogvideox, *given.parts, kept=kept), predict(cogvideox, *given.parts, kept=kept.flip(1)), atol=1e-4)


@torch.no_grad()
def test_larger_clips_have_the_table_of_a_clip_with_one_frame_more(cogvideox) -> None:
    seen = []
    hook = cogvideox.transformer.register_forward_pre_hook(lambda module, args, kwargs: seen.append(kwargs), with_kwargs=True)
    latents, text = torch.randn(1, 4, 2, 16, 12), torch.randn(1, TEXT, 32)
    predict(cogvideox, latents, torch.tensor(500), text, torch.randn(1, 4, 1, 16, 12))
    hook.remove()
    expected = cogvideox.pipeline._prepare_rotary_positional_embeddings(64, 48, 3, torch.device("cpu"))
    assert all(torch.equal(one, other) for one, other in zip(seen[0]["image_rotary_emb"], expected, strict=True))


def traces(backbone) -> list:
    return [(name, len(part._forward_hooks) + len(part._forward_pre_hooks)) for name, part in backbone.transformer.named_modules()]


def test_nothing_is_left_behind(cogvideox) -> None:
    given, before = Given.drawn(), traces(cogvideox)
    with torch.no_grad():
        predict(cogvideox, *given.parts, kept=some(5))
    assert traces(cogvideox) == before
    with pytest.raises(RuntimeError):
        predict(cogvideox, given.latents, given.timestep, given.text[..., :5], given.reference, kept=some(5))
    assert traces(cogvideox) == before


@pytest.mark.parametrize("count", [None, 5])
def test_gradients_are_the_same_with_checkpointing(cogvideox, count: int | None) -> None:
    given, model = Given.drawn(), cogvideox.transformer.requires_grad_(True)
    kept = None if count is None else some(count)
    reference = given.reference.requires_grad_(True)

    def gradients() -> list[Tensor]:
        loss = predict(cogvideox, given.latents, given.timestep, given.text, reference, kept=kept).square().mean()
        return list(torch.autograd.grad(loss, [reference, *model.parameters()], allow_unused=True))

    plain = gradients()
    model.enable_gradient_checkpointing()
    checkpointed = gradients()
    assert plain[0].abs().sum() > 0
    for one, other in zip(plain, checkpointed, strict=True):
        assert (one is None and other is None) or torch.allclose(one, other, atol=1e-6)


def test_models_without_such_a_sequence_are_refused(wan, cogvideox) -> None:
    given = Given.drawn()
    with pytest.raises(UserError, match="CogVideoX family"):
        predict(wan, *given.parts)
    cogvideox.transformer.register_to_config(use_learned_positional_embeddings=True)
    with pytest.raises(UserError, match="learned positions"):
        predict(cogvideox, *given.parts)
