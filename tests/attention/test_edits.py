"""Laws of recording and replacing, on all families."""

from __future__ import annotations

import copy

import pytest
import torch
from forward_pass import hooks_and_buffers, make_pass

from pipelines.attention.edits import CONDITIONAL, recording, replacing
from pipelines.attention.processors import processors
from pipelines.attention.windows import layer_window
from pipelines.errors import UserError

KINDS = ["query", "key", "value", "output"]


@pytest.mark.parametrize("what", KINDS)
def test_recording_changes_nothing_and_gives_one_layout(forward, what):
    before = forward()
    with recording(forward.blocks, what, forward.layout, rows=2) as record:
        assert torch.equal(forward(), before)
    assert [record.latest(layer).shape for layer in record.layers] == [(2, *forward.size(layer, what)) for layer in record.layers]
    assert record.latest(0).shape == (2, forward.layout.total, forward.blocks[0].width(what))


@pytest.mark.parametrize("what", ["query", "key"])
def test_queries_and_keys_are_recorded_before_rotation(forward, what):
    """CogVideoX rotates in place what its norms return: a record that is no copy would show rotated values."""
    block = forward.blocks[1]
    inputs, aliased = [], []
    module = getattr(block, what)

    def grab(module, arguments, output):
        inputs.append(arguments[0].clone())
        aliased.append(output)

    handle = module.register_forward_hook(grab)
    with recording(forward.blocks, what, forward.layout, layers=[1], rows=2) as record:
        forward()
    handle.remove()
    with torch.no_grad():
        expected = module(inputs[0])
    if expected.ndim == 4:
        assert not torch.allclose(aliased[0], expected)  # what a reference instead of a copy would have kept
        expected = expected.transpose(1, 2).flatten(2)
    assert torch.equal(record.latest(1), expected.reshape(2, -1, expected.shape[-1]))


@pytest.mark.parametrize("what", KINDS)
def test_weights_stored_in_bytes_and_moved_away_leave_edits_alone(forward, what):
    """With layer-wise casting and group offloading, as on a card that is short of room."""
    before, transformer = forward(), forward.backbone.transformer
    transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    transformer.enable_group_offload(onload_device=torch.device("cpu"), offload_type="leaf_level")
    with recording(forward.blocks, what, forward.layout, rows=2) as record:
        stored = forward()
        assert all(record.latest(layer).dtype == torch.float32 for layer in record.layers)
        with replacing(forward.blocks, what, forward.layout, bank_rows=2) as edit:
            for layer in edit.layers:
                edit.write(layer, record.latest(layer))
            assert torch.equal(forward(), stored)
            for layer in edit.layers:
                edit.write(layer, record.latest(layer) * 0)
            assert not torch.allclose(forward(), stored) and not torch.allclose(stored, before)


@pytest.mark.parametrize("what", KINDS)
def test_injecting_a_clips_own_tensors_changes_nothing(forward, what):
    before = forward()
    with recording(forward.blocks, what, forward.layout, rows=2) as record:
        forward()
    with replacing(forward.blocks, what, forward.layout, bank_rows=2) as edit:
        for layer in edit.layers:
            edit.write(layer, record.latest(layer))
        for _ in range(2):  # a bank rotated in place would be rotated again
            assert torch.equal(forward(), before)


@pytest.mark.parametrize("what", KINDS)
def test_strength_zero_leaves_the_model_bit_for_bit(forward, what):
    before = forward()
    with replacing(forward.blocks, what, forward.layout) as edit:
        assert torch.equal(forward(), before)  # nothing written yet
        for layer in edit.layers:
            edit.write(layer, torch.randn(1, *forward.size(layer, what)) * 100, strength=0.0)
        assert torch.equal(forward(), before)


@pytest.mark.parametrize("what", KINDS)
def test_replacing_replaces(forward, what):
    before = forward()
    values = torch.randn(1, *forward.size(1, what))
    with (
        replacing(forward.blocks, what, forward.layout, layers=[1]) as edit,
        recording(forward.blocks, what, forward.layout, rows=2) as seen,
    ):
        edit.write(1, values)
        changed = forward()
        assert torch.equal(seen.latest(1), values.expand(2, -1, -1))
        edit.write(1, values, strength=0.25)
        half = forward()
    assert (changed - before).abs().max() > 1e-3 and (half - before).abs().max() > 1e-4
    assert torch.equal(forward(), before)


def test_rows_tokens_and_masks_are_respected(forward):
    layout, block = forward.layout, forward.blocks[1]
    video = block.tokens(layout).video
    values = torch.randn(1, video, block.width("value"))
    mask = torch.zeros(video)
    mask[10:20] = 1
    with recording(forward.blocks, "value", layout, layers=[1], rows=2) as record:
        forward()
        plain = record.latest(1)
    with (
        replacing(forward.blocks, "value", layout, layers=[1]) as edit,
        recording(forward.blocks, "value", layout, layers=[1], rows=2) as seen,
    ):
        edit.write(1, values, mask, CONDITIONAL)
        forward()
    expected = plain.clone()
    expected[1, layout.text + 10 : layout.text + 20] = values[0, 10:20]
    assert torch.equal(seen.latest(1), expected)


def test_passes_without_guidance_see_the_conditional_row(backbone):
    guided, single = make_pass(backbone), make_pass(backbone, guided=False)
    before = single()
    with replacing(guided.blocks, "query", guided.layout) as edit:
        for layer in edit.layers:
            count, width = guided.size(layer, "query")
            edit.write(layer, torch.randn(1, count - guided.layout.text, width), rows=CONDITIONAL)
        changed = guided()
        assert torch.allclose(single(), changed[1:], atol=1e-5)
    assert (changed[1:] - before).abs().max() > 1e-3


def test_only_the_chosen_layers_and_steps(forward):
    before = forward()
    values = torch.randn(1, forward.layout.total, forward.blocks[0].width("query"))
    window = layer_window(2, 2, of=len(forward.blocks))
    with replacing(forward.blocks, "query", forward.layout, layers=window, steps=[1, 2]) as edit:
        assert edit.layers == (2,)
        edit.write(2, values)
        unchanged = []
        for step in range(4):
            edit.at_step(step)
            unchanged.append(torch.equal(forward(), before))
    assert unchanged == [True, False, False, True]


def test_keeping_the_chosen_steps(forward):
    with recording(forward.blocks, "key", forward.layout, layers=[0, 2], steps=[1]) as record:
        for step in range(3):
            forward()
            record.keep(step)
    assert set(record.kept) == {(1, 0), (1, 2)}
    assert record.kept[1, 0].data_ptr() != record.latest(0).data_ptr()


def test_nothing_is_left_behind(forward):
    before, clean = forward(), hooks_and_buffers(forward.backbone)
    layers = [block.cross or block for block in forward.blocks]
    record = recording(forward.blocks, "query", forward.layout)
    replace = replacing(layers, "value", forward.layout)
    with pytest.raises(ZeroDivisionError), record, replace as edit:
        edit.write(0, torch.randn(1, 4, layers[0].width("value")))
        forward()
        assert hooks_and_buffers(forward.backbone) != clean
        raise ZeroDivisionError
    assert hooks_and_buffers(forward.backbone) == clean
    assert torch.equal(forward(), before)


def test_closing_a_generator_removes_its_edits(forward):
    clean = hooks_and_buffers(forward.backbone)

    def method():
        with replacing(forward.blocks, "query", forward.layout):
            yield forward()

    running = method()
    next(running)
    running.close()
    assert hooks_and_buffers(forward.backbone) == clean


def test_edits_can_be_nested(forward):
    """Two recordings and two replacements of one module; the inner ones come after the outer ones."""
    layout, width = forward.layout, forward.blocks[0].width("value")
    with (
        recording(forward.blocks, "value", layout) as outside,
        replacing(forward.blocks, "value", layout) as first,
        replacing(forward.blocks, "value", layout) as second,
        recording(forward.blocks, "value", layout) as inside,
    ):
        first.write(0, torch.ones(1, layout.total, width))
        second.write(0, torch.full((1, layout.total, width), 3.0), strength=0.5)
        forward()
    assert (inside.latest(0) == 2).all() and not (outside.latest(0) == 1).any()


@pytest.mark.parametrize("family", ["wan", "ltx", "animatediff"])
def test_cross_attention_is_edited_too(request, family):
    forward = make_pass(request.getfixturevalue(family))
    before, width = forward(), forward.blocks[0].cross.width("value")
    crosses = [block.cross for block in forward.blocks]
    with recording(crosses, "value", forward.layout) as record:
        forward()
    assert record.latest(0).shape == (1, forward.layout.context, width)
    with replacing(crosses, "value", forward.layout) as edit:
        edit.write(0, torch.zeros(1, forward.layout.context, width))
        assert not torch.equal(forward(), before)


def test_reading_before_a_forward_pass_is_an_error(forward):
    with recording(forward.blocks, "query", forward.layout) as record, pytest.raises(RuntimeError, match="not been reached"):
        record.latest(0)


def test_fused_projections_are_refused(forward):
    forward.backbone.transformer.fuse_qkv_projections()
    with pytest.raises(UserError, match="unfuse_qkv_projections"), recording(forward.blocks, "value", forward.layout):
        pass
    forward.backbone.transformer.unfuse_qkv_projections()
    with recording(forward.blocks, "value", forward.layout) as record:
        forward()
        record.latest(0)


def test_layers_that_do_not_exist_are_refused(forward):
    layers = [len(forward.blocks)]
    with pytest.raises(ValueError, match="do not all exist"), recording(forward.blocks, "value", forward.layout, layers=layers):
        pass


class Doubling:
    """Any other processor: the layer's own, its result doubled."""

    def __init__(self, own):
        self.own = own

    def __call__(self, *arguments, **options):
        result = self.own(*arguments, **options)
        return tuple(part * 2 for part in result) if isinstance(result, tuple) else result * 2


def test_processors_are_put_back(forward):
    """`set_attn_processor` empties the dict it is given, so a second use must still work."""
    before, transformer = forward(), forward.backbone.transformer
    own = transformer.attn_processors
    block = forward.blocks[1]
    replacements = {block.name: Doubling(block.attention.processor)}
    untouched = copy.copy(replacements)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), processors(transformer, replacements):
            assert not torch.equal(forward(), before)
            raise ZeroDivisionError
        assert replacements == untouched
        assert all(transformer.attn_processors[name] is processor for name, processor in own.items())
        assert torch.equal(forward(), before)
    with pytest.raises(KeyError), processors(transformer, {"blocks.99.attn1": None}):
        pass
