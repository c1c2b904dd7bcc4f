"""Recording and replacing queries, keys, values and outputs of attention layers, inside a `with`.

Everything is a forward hook on the sub-module that makes the tensor, so it works with every attention backend. The hooks are
shared functions that work on buffers at each module (`record.copy_(out)`, `torch.lerp(out, bank, gate)`): with compiled blocks all
layers stay one graph and switching an edit on and off writes numbers into a buffer instead of recompiling. Both operations
make a copy, which matters: CogVideoX rotates in place what `norm_q` and `norm_k` return.

Tensors are (rows, N, channels) in every family, heads side by side, text tokens first where they take part, also where a layer
has frames in its batch; where layers differ in their grid, N does too (`block.tokens(layout)`). Rows are the clips of one
forward pass; under guidance the conditional half comes last. Hooks run in the order in which the edits were entered: a
recording entered inside a replacing sees the replaced tensor, one entered outside sees the original.

Source of the points of intervention: diffusers 0.42, WanAttnProcessor, CogVideoXAttnProcessor2_0 and AttnProcessor2_0.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
import torch._dynamo
from diffusers.models.attention import AttentionModuleMixin
from torch import Tensor, nn

from pipelines.attention.windows import Window
from pipelines.backbones.layout import AttentionBlock, TokenLayout, What
from pipelines.errors import UserError

CONDITIONAL = slice(-1, None)
"""Rows of the conditional half of one guided clip."""


class Recording:
    """What the chosen layers last said.

    Attributes:
        layers: numbers of the recorded layers.
        kept: (step, layer) -> (rows, N, channels), filled by `keep`.
    """

    def __init__(self, records: dict[int, Tensor], steps: Collection[int] | None, device: str | None) -> None:
        self.layers = tuple(records)
        self.kept: dict[tuple[int, int], Tensor] = {}
        self._records, self._steps, self._device = records, steps, device

    def latest(self, layer: int) -> Tensor:
        """A copy of what `layer` said in the last forward pass, (rows, N, channels). RuntimeError if none has reached it."""
        record = self._records[layer]
        if record.flatten()[0].isnan() and record.isnan().all():
            raise RuntimeError(f"Layer {layer} has not been reached since the recording began.")
        return record.clone() if self._device is None else record.to(self._device, copy=True)

    def keep(self, step: int) -> None:
        """Put copies of all layers into `kept`, if `step` is one of the chosen steps."""
        if self._steps is None or step in self._steps:
            self.kept |= {(step, layer): self.latest(layer) for layer in self.layers}


class Replacing:
    """Tensors that stand in for what the chosen layers say: out + gate * (bank - out), gate 0 leaving out bit for bit.

    Attributes:
        layers: numbers of the edited layers.
    """

    def __init__(self, banks: dict[int, Tensor], gates: dict[int, Tensor], steps: Collection[int] | None) -> None:
        self.layers = tuple(banks)
        self._banks, self._gates, self._steps = banks, gates, steps
        self._wanted = {layer: torch.zeros_like(gate) for layer, gate in gates.items()}
        self._active = steps is None

    def write(self, layer: int, values: Tensor, strength: float | Tensor = 1.0, rows: slice = slice(None)) -> None:
        """Put `values` into the bank of `layer`.

        Args:
            values: (R, N', channels) for the last N' tokens: the video tokens alone, or all; R is 1 or the bank's rows.
            strength: 0..1, one number or a mask that broadcasts to (rows, N').
            rows: which rows of the forward pass are replaced (see CONDITIONAL); the others are left alone.
        """
        bank, gate = self._banks[layer], self._gates[layer]
        count = values.shape[1]
        bank[:, bank.shape[1] - count :].copy_(values)
        wanted = torch.zeros_like(gate)
        part = wanted[rows, gate.shape[1] - count :, 0]
        part.copy_(torch.as_tensor(strength, device=gate.device, dtype=gate.dtype).expand_as(part))
        self._wanted[layer] = wanted
        self._set_gate(layer)

    def at_step(self, step: int) -> None:
        """Call before each denoising step: switches the edit on at the chosen steps and off at the others."""
        self.switch(self._steps is None or step in self._steps)

    def switch(self, on: bool) -> None:
        """Switch the edit on or off; what was written stays."""
        self._active = on
        for layer in self.layers:
            self._set_gate(layer)

    def _set_gate(self, layer: int) -> None:
        self._gates[layer].copy_(self._wanted[layer]).mul_(self._active)


@contextmanager
def recording(
    blocks: Sequence[AttentionBlock],
    what: What,
    layout: TokenLayout,
    *,
    layers: Window | Collection[int] | None = None,
    steps: Collection[int] | None = None,
    rows: int = 1,
    device: str | None = None,
) -> Iterator[Recording]:
    """Within, record `what` of the chosen layers.

    Args:
        blocks: `backbone.blocks()`, or `[block.cross for block in backbone.blocks()]`.
        layout: `backbone.tokens(latents)`.
        layers: a window over layers, layer numbers, or None for all.
        steps: step numbers that `keep` keeps (`window.steps(schedule.timesteps)`), None for all.
        rows: how many rows to record, the last ones of each pass: 1 is the conditional half of one clip, 2 both halves.
        device: where copies go, None for where they are.
    Raises UserError if the layers' projections are fused.
    """
    modules = {block: block_part(block, what) for block in choose(blocks, layers)}
    name = free_name(modules.values(), "record")
    records: dict[int, Tensor] = {}
    with ExitStack() as stack:
        for block, module in modules.items():
            buffer = buffer_of(block, rows, block.length(what, layout), block.width(what)).fill_(torch.nan)
            stack.enter_context(hooked(module, {name: buffer}, _record_hook(name, _frames_inside(block, layout))))
            records[block.index] = buffer
        yield Recording(records, steps, device)


@contextmanager
def replacing(
    blocks: Sequence[AttentionBlock],
    what: What,
    layout: TokenLayout,
    *,
    layers: Window | Collection[int] | None = None,
    steps: Collection[int] | None = None,
    rows: int = 2,
    bank_rows: int = 1,
) -> Iterator[Replacing]:
    """Within, replace `what` of the chosen layers by what is written to the `Replacing`; until then nothing changes.

    Args:
        blocks, layout, layers: as for `recording`.
        steps: step numbers at which `at_step` switches the edit on; None: on from the start.
        rows: rows of a forward pass: 2 for one guided clip, 1 without guidance. Passes with fewer rows see the last ones.
        bank_rows: 1 to replace all rows by the same tensor, or `rows`.
    Raises UserError if the layers' projections are fused.
    """
    modules = {block: block_part(block, what) for block in choose(blocks, layers)}
    name = free_name(modules.values(), "replace")
    bank_name, gate_name = f"{name}_bank", f"{name}_gate"
    banks: dict[int, Tensor] = {}
    gates: dict[int, Tensor] = {}
    with ExitStack() as stack:
        for block, module in modules.items():
            length = block.length(what, layout)
            banks[block.index] = buffer_of(block, bank_rows, length, block.width(what))
            gates[block.index] = buffer_of(block, rows, length, 1)
            buffers = {bank_name: banks[block.index], gate_name: gates[block.index]}
            hook = _replace_hook(bank_name, gate_name, _frames_inside(block, layout))
            stack.enter_context(hooked(module, buffers, hook))
        yield Replacing(banks, gates, steps)


def choose(blocks: Sequence[AttentionBlock], layers: Window | Collection[int] | None) -> list[AttentionBlock]:
    """The blocks that `layers` names; ValueError for a layer that does not exist."""
    numbers = range(len(blocks)) if layers is None else layers.layers(len(blocks)) if isinstance(layers, Window) else sorted(layers)
    if any(not 0 <= number < len(blocks) for number in numbers):
        raise ValueError(f"layers {list(numbers)} do not all exist in a model with {len(blocks)}")
    return [blocks[number] for number in numbers]


def block_part(block: AttentionBlock, what: What) -> nn.Module:
    """The sub-module whose output is `what`. Raises UserError when it would not be called, or its hooks not be seen."""
    attention = block.attention
    fused = isinstance(attention, AttentionModuleMixin) and attention.fused_projections  # Wan
    if fused or type(attention.processor).__name__.startswith("Fused"):  # CogVideoX
        raise UserError(f"The projections of {block.name} are fused, so attention cannot be edited: call unfuse_qkv_projections() first.")
    if block.parent._compiled_call_impl is not None and torch._dynamo.config.skip_nnmodule_hook_guards:
        raise UserError(f"{block.name} was compiled so that edits would be ignored: compile with the backbone's compile() instead.")
    return getattr(block, what)


def buffer_of(block: AttentionBlock, *shape: int) -> Tensor:
    """Zeros of `shape`, where and in the precision that the block computes in."""
    return torch.zeros(shape, dtype=block.dtype, device=block.device)


def _frames_inside(block: AttentionBlock, layout: TokenLayout) -> int:
    """Frames that lie in the batch of what the block's modules say; 0 where they are tokens of the sequence."""
    return layout.frames if block.folded else 0


def free_name(modules: Collection[nn.Module], stem: str) -> str:
    """A buffer name that none of the modules uses yet: edits may be nested."""
    taken = {name for module in modules for name in vars(module)}
    slot = 0
    while any(name.startswith(f"{stem}{slot}") for name in taken):
        slot += 1
    return f"{stem}{slot}"


@contextmanager
def hooked(module: nn.Module, buffers: dict[str, Tensor], hook: Callable[..., Any]) -> Iterator[None]:
    """Within, `module` has these buffers and calls `hook`; afterwards no trace of either is left.

    They are plain attributes: what torch knows as a buffer is cast to bytes or moved away together with the weights.
    """
    for name, buffer in buffers.items():
        setattr(module, name, buffer)
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
        for name in buffers:
            delattr(module, name)


@cache  # one function per name, whichever module and run: compiled graphs recognise it again
def _record_hook(name: str, frames: int) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        said = _by_clip(output.detach(), frames)
        record = _like(getattr(module, name), said, frames)
        if frames:
            said = said[:, : record.shape[1]]  # of text, which is the same in every frame, the first
        record.copy_(said[-record.shape[0] :])

    return hook


@cache
def _replace_hook(bank_name: str, gate_name: str, frames: int) -> Callable[..., Tensor]:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        said = _by_clip(output, frames)
        bank, gate = _like(getattr(module, bank_name), said, frames), _gate_like(getattr(module, gate_name), said, frames)
        rows = said.shape[0]
        put = torch.lerp(said, bank[-rows:].to(said.dtype), gate[-rows:].to(said.dtype))
        return put.flatten(0, 1) if frames else put

    return hook


def _by_clip(output: Tensor, frames: int) -> Tensor:
    """What a module said, with a row for each clip: (B * T', n, C) -> (B, T', n, C) where frames lie in the batch."""
    return output.unflatten(0, (-1, frames)) if frames else output


def _like(buffer: Tensor, said: Tensor, frames: int) -> Tensor:
    """A view of (rows, N, heads * d) in the layout of `said`.

    With frames apart (rows, T', n, C), or (rows, 1, L, C) of text, which is the same in every frame; where the heads are split
    already (rows, heads, N, d).
    """
    if frames:
        return buffer.unflatten(1, (-1, said.shape[2]))
    return buffer.unflatten(2, (said.shape[1], -1)).transpose(1, 2) if said.ndim == 4 else buffer


def _gate_like(gate: Tensor, said: Tensor, frames: int) -> Tensor:
    """The same for (rows, N, 1), which is of all heads."""
    return gate.unsqueeze(1) if said.ndim == 4 and not frames else _like(gate, said, frames)
