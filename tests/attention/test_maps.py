"""Text-video maps equal the attention that the blocks really compute."""

from __future__ import annotations

import pytest
import torch
from forward_pass import make_pass

from pipelines.attention.edits import recording
from pipelines.attention.maps import cross_map, find_tokens, joint_map, scale, text_maps

TOKENS = [1, 2]


def attention_of(forward, blocks, layer: int, rotate: bool):
    """The whole attention matrix (B, H, M, N) of a layer, proved right by reproducing the layer's recorded output."""
    names = ("query", "key", "value", "output")
    from contextlib import ExitStack

    with ExitStack() as stack:
        records = [stack.enter_context(recording(blocks, name, forward.layout, layers=[layer], rows=2)) for name in names]
        forward()
    query, key, value, output = (record.latest(layer) for record in records)
    if rotate:
        query, key = (forward.backbone.rotate(part, forward.latents) for part in (query, key))
    heads = [part.unflatten(2, (forward.layout.heads, -1)).transpose(1, 2) for part in (query, key, value)]
    scores = heads[0] @ heads[1].transpose(-1, -2) / heads[0].shape[-1] ** 0.5
    if forward.backbone.family == "ltx" and blocks[layer].kind == "cross":  # padding is hidden there
        scores = scores.masked_fill(~forward.text.any(-1)[:, None, None], -torch.inf)
    matrix = scores.softmax(-1)
    with torch.no_grad():
        again = blocks[layer].output((matrix @ heads[2]).transpose(1, 2).flatten(2))
    assert torch.allclose(again, output, atol=1e-5)
    return matrix, query, key


@pytest.mark.parametrize("cells", [100, 1 << 26])
def test_joint_maps_are_regions_of_the_joint_attention(cogvideox, cells):
    forward = make_pass(cogvideox)
    layout = forward.layout
    matrix, query, key = attention_of(forward, forward.blocks, 1, rotate=True)
    expected = matrix[:, :, layout.text :, TOKENS].mean((1, 3)).unflatten(1, layout.grid)
    assert torch.allclose(joint_map(query, key, layout, TOKENS, "video_to_text", cells), expected, atol=1e-6)
    expected = matrix[:, :, TOKENS, layout.text :].mean((1, 2)).unflatten(1, layout.grid)
    assert torch.allclose(joint_map(query, key, layout, TOKENS, "text_to_video", cells), expected, atol=1e-6)


def test_rotation_matters_to_joint_maps(cogvideox):
    forward = make_pass(cogvideox)
    with pytest.raises(AssertionError):
        attention_of(forward, forward.blocks, 1, rotate=False)


@pytest.fixture(params=["wan", "ltx"])
def crossed(request):
    """A pass of each family whose text comes in by cross attention."""
    return make_pass(request.getfixturevalue(request.param))


def test_rotation_of_a_blocks_own_attention(crossed):
    forward = crossed
    attention_of(forward, forward.blocks, 1, rotate=True)
    with pytest.raises(AssertionError):
        attention_of(forward, forward.blocks, 1, rotate=False)


@pytest.mark.parametrize("cells", [100, 1 << 26])
def test_cross_maps_are_columns_of_the_cross_attention(crossed, cells):
    forward = crossed
    crosses = [block.cross for block in forward.blocks]
    matrix, query, key = attention_of(forward, crosses, 1, rotate=False)
    expected = matrix[..., TOKENS].mean((1, 3)).unflatten(1, forward.layout.grid)
    shown = forward.text.any(-1) if forward.backbone.family == "ltx" else None
    assert torch.allclose(cross_map(query, key, forward.layout, TOKENS, cells, shown), expected, atol=1e-6)


def test_maps_are_averaged_over_layers_and_passes(forward):
    blocks = [block.cross or block for block in forward.blocks]
    with text_maps(forward.backbone, forward.latents, TOKENS, layers=[0, 2]) as maps:
        with pytest.raises(RuntimeError):
            maps.mean()
        forward()
        first = maps.add(forward.latents)
        forward.timestep = torch.tensor(100)
        forward()
        second = maps.add(forward.latents)
    assert torch.allclose(maps.mean(), (first + second) / 2)
    assert first.shape == (1, *forward.layout.grid) and not torch.equal(first, second)
    single = []
    for layer in (0, 2):
        matrix, _, _ = attention_of(forward, blocks, layer, rotate=not forward.blocks[0].cross)
        single.append(matrix[1:, :, forward.layout.text :, TOKENS].mean((1, 3)).unflatten(1, forward.layout.grid))
    assert torch.allclose(second, torch.stack(single).mean(0), atol=1e-6)
    scaled = scale(second)
    assert scaled.min() == 0 and scaled.max() == 1


def test_a_phrase_is_found_by_its_tokens(wan):
    tokenizer = wan.pipeline.tokenizer
    words = tokenizer.convert_ids_to_tokens(tokenizer("a red ball rolls over the blue ball").input_ids)
    found = find_tokens(tokenizer, "a red ball rolls over the blue ball", "blue ball")
    assert [words[index] for index in found] == ["\u2581blue", "\u2581ball"]
    with pytest.raises(ValueError, match="does not occur"):
        find_tokens(tokenizer, "a red ball", "cube")
    with pytest.raises(ValueError):
        find_tokens(tokenizer, "a red ball", "")
