"""With compiled blocks edits still count, all layers share one graph, and switching does not recompile."""

from __future__ import annotations

import pytest
import torch
import torch._dynamo
from forward_pass import make_pass
from torch._dynamo.testing import CompileCounter

from pipelines.attention.edits import recording, replacing
from pipelines.errors import UserError


@pytest.fixture
def compiling():
    """A clean compiler whose settings are put back."""
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=False, recompile_limit=8):
        skip = torch._dynamo.config.skip_nnmodule_hook_guards
        yield CompileCounter()
        torch._dynamo.config.skip_nnmodule_hook_guards = skip
    torch._dynamo.reset()


def test_edits_count_on_compiled_blocks(backbone, compiling):
    forward = make_pass(backbone)
    plain = forward()
    values = [torch.randn(1, *forward.size(block.index, "query")) for block in forward.blocks]
    with replacing(forward.blocks, "query", forward.layout) as edit:
        for layer in edit.layers:
            edit.write(layer, values[layer])
        edited = forward()
    backbone.compile(backend=compiling)
    assert torch.allclose(forward(), plain, atol=1e-5)
    unedited, counts = compiling.frame_count, []
    assert unedited <= 2  # one for all layers of a grid; CogVideoX's first block gets its inputs in another memory layout
    for _ in range(2):
        assert torch.allclose(forward(), plain, atol=1e-5)
        with replacing(forward.blocks, "query", forward.layout) as edit, recording(forward.blocks, "value", forward.layout) as record:
            assert torch.allclose(forward(), plain, atol=1e-5)
            for layer in edit.layers:
                edit.write(layer, values[layer])
            assert torch.allclose(forward(), edited, atol=1e-5)
            edit.switch(False)
            assert torch.allclose(forward(), plain, atol=1e-5)
            assert record.latest(2).isfinite().all()
        counts.append(compiling.frame_count)
    assert counts == [2 * unedited] * 2  # as many again with the edit, for all layers, on or off, and in later runs


def test_blocks_compiled_so_that_hooks_are_ignored_are_refused(wan, compiling):
    forward = make_pass(wan)
    forward.blocks[0].parent.compile(backend=compiling)
    torch._dynamo.config.skip_nnmodule_hook_guards = True
    with pytest.raises(UserError, match="compile"), recording(forward.blocks, "query", forward.layout):
        pass
