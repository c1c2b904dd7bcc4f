"""Faces in packed sequences: each sample sees its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor

from pipelines.methods.face_identity.condition import Condition
from pipelines.methods.face_identity.processors import AddedAttention, Kind, identified
from pipelines.training.packing import Layout, Spans, attend_apart, packed

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone
    from pipelines.methods.face_identity.modules import FaceAdapter


@contextmanager
def packed_faces(
    backbone: Backbone, adapter: FaceAdapter, conditions: Sequence[Condition], layout: Layout, shares: Mapping[Kind, Tensor] | None = None
) -> Iterator[None]:
    """Within, `forward_packed` draws the face of `conditions[n]` in sample n; keys and values carry gradients to the adapter.

    `identified` makes keys and values and checks that the adapter fits; what its processors add is added sample by sample.

    Args:
        conditions: one for each sample of `layout`.
        shares: adapter -> (samples,) factors of what it adds to each, such as 0 for a sample that is to do without it.
    Raises UserError as `identified` does, ValueError unless there is a condition for each sample.
    """
    if len(conditions) != len(layout.grids):
        raise ValueError(f"there are {len(conditions)} conditions for {len(layout.grids)} samples")
    with identified(backbone, adapter, conditions):
        worn = {name.removesuffix(".processor"): own for name, own in backbone.transformer.attn_processors.items()}
        worn = {name: own for name, own in worn.items() if isinstance(own, AddedAttention)}
        added = {name: PackedFaces(own, layout.video, (shares or {}).get(own.kind)) for name, own in worn.items()}
        with packed(backbone, layout, added):
            yield


class PackedFaces:
    """What an `AddedAttention` adds, where samples lie one after the other.

    Args:
        own: the processor, whose keys and values (samples, heads, M, d) are used, and its switches.
        queries: where the samples lie.
        shares: (samples,) factors.
    """

    def __init__(self, own: AddedAttention, queries: Spans, shares: Tensor | None = None) -> None:
        self.own, self.queries, self.shares = own, queries, shares

    def __call__(self, query: Tensor) -> Tensor | None:
        """(1, N, heads, d) for queries of that shape, before RoPE."""
        scale = self.own.identity.scale(self.own.kind)
        if scale == 0:
            return None
        count = len(self.queries.lengths)
        key, value = (self.own.identity.of_rows(tokens, count).transpose(1, 2) for tokens in self.own.more)  # (samples, M, heads, d)
        keys = Spans((key.shape[1],) * count)
        out = scale * attend_apart(query, key.flatten(0, 1)[None], value.flatten(0, 1)[None], self.queries, keys)
        return out if self.shares is None else out * self._by_token(out)

    def _by_token(self, out: Tensor) -> Tensor:
        """(N, 1, 1) factors."""
        lengths = out.new_tensor(self.queries.lengths).long()
        return self.shares.to(out).repeat_interleave(lengths, output_size=out.shape[1])[:, None, None]
