"""Layers of a UNet: each on its own grid with frames in the batch, seen by every edit as clips of tokens."""

from __future__ import annotations

import pytest
import torch
from forward_pass import make_pass

from pipelines.attention.edits import CONDITIONAL, recording, replacing
from pipelines.attention.maps import cross_map, text_maps

GRIDS = [(9, 8, 12), (9, 4, 6), (9, 8, 12), (9, 8, 12)]


@pytest.fixture
def levels(animatediff):
    """A guided pass of the tiny UNet, whose second layer is coarser."""
    return make_pass(animatediff)


def test_each_layer_has_the_grid_of_its_level(levels):
    assert levels.layout.grid == GRIDS[0]
    assert [block.tokens(levels.layout).grid for block in levels.blocks] == GRIDS
    with recording(levels.blocks, "query", levels.layout, rows=2) as record:
        levels()
    assert [record.latest(layer).shape for layer in record.layers] == [(2, 864, 8), (2, 216, 16), (2, 864, 8), (2, 864, 8)]


@pytest.mark.parametrize(("height", "width"), [(32, 48), (40, 24), (24, 56)])
def test_grids_are_right_where_sides_cannot_be_halved_evenly(animatediff, height, width):
    latents, text = animatediff.initial_noise(3, height, width, 0), animatediff.encode_text(["a red ball"])
    layout, blocks = animatediff.tokens(latents), animatediff.blocks()
    with recording(blocks, "value", layout) as record, torch.no_grad():
        animatediff.denoise(latents, torch.tensor(500), text)
        assert all(record.latest(block.index).isfinite().all() for block in blocks)


@pytest.mark.parametrize("layer", [0, 1])
def test_tokens_run_over_frames_then_rows_then_columns(levels, layer):
    """What is recorded is what the module says of clip after clip and frame after frame."""
    block, said = levels.blocks[layer], []
    handle = block.query.register_forward_hook(lambda module, inputs, output: said.append(output.clone()))
    with recording(levels.blocks, "query", levels.layout, rows=2) as record:
        levels()
    handle.remove()
    frames = record.latest(layer).unflatten(1, (GRIDS[layer][0], -1))
    assert said[0].shape == (18, frames.shape[2], frames.shape[3])
    for clip in range(2):
        for frame in range(9):
            assert torch.equal(frames[clip, frame], said[0][9 * clip + frame])


def test_an_edit_reaches_the_frames_and_tokens_it_names(levels):
    block = levels.blocks[1]
    count, width = levels.size(1, "query")
    values, mask = torch.randn(1, count, width), torch.zeros(9, 4, 6)
    mask[3, 1, 2:4] = 1
    with recording(levels.blocks, "query", levels.layout, layers=[1], rows=2) as record:
        levels()
        plain = record.latest(1)
    edits = replacing(levels.blocks, "query", levels.layout, layers=[1])
    with edits as edit, recording(levels.blocks, "query", levels.layout, layers=[1], rows=2) as seen:
        edit.write(1, values, mask.flatten(), CONDITIONAL)
        levels()
    expected = plain.unflatten(1, block.tokens(levels.layout).grid).clone()
    expected[1, 3, 1, 2:4] = values.unflatten(1, (9, 4, 6))[0, 3, 1, 2:4]
    assert torch.equal(seen.latest(1), expected.flatten(1, 3))


def test_a_record_is_a_copy(levels):
    with recording(levels.blocks, "value", levels.layout) as record:
        levels()
        first = record.latest(1)
        kept = first.clone()
        levels.timestep = torch.tensor(100)
        levels()
        assert torch.equal(first, kept) and not torch.equal(record.latest(1), kept)


def test_text_is_recorded_once_for_all_frames_and_replaced_in_all(levels):
    crosses = [block.cross for block in levels.blocks]
    before = levels()
    with recording(crosses, "key", levels.layout, rows=2) as record:
        levels()
    assert record.latest(1).shape == (2, 16, 16)
    with torch.no_grad():
        assert torch.allclose(record.latest(1), crosses[1].key(levels.text), atol=1e-6)
    with replacing(crosses, "key", levels.layout, bank_rows=2) as edit:
        assert torch.equal(levels(), before)
        for layer in edit.layers:
            edit.write(layer, record.latest(layer))
        assert torch.allclose(levels(), before, atol=1e-5)
        edit.write(1, torch.randn(2, 16, 16))
        assert (levels() - before).abs().amax((1, 3, 4)).min() > 1e-3, "in every frame"


def test_maps_of_coarser_layers_are_spread_over_the_finest_grid(levels):
    crosses = [block.cross for block in levels.blocks]
    with (
        recording(crosses, "query", levels.layout, layers=[1]) as queries,
        recording(crosses, "key", levels.layout, layers=[1]) as keys,
        text_maps(levels.backbone, levels.latents, [1, 2], layers=[1]) as maps,
    ):
        levels()
        found = maps.add(levels.latents)
    small = cross_map(queries.latest(1), keys.latest(1), crosses[1].tokens(levels.layout), [1, 2])
    assert small.shape == (1, 9, 4, 6) and found.shape == (1, 9, 8, 12)
    assert torch.allclose(found.unflatten(2, (4, 2)).unflatten(4, (6, 2)).mean((3, 5)), small, rtol=0.2, atol=0.02)
