"""Inverted references of a loaded model, kept in memory: the next clip of the same subject and picture needs no inversion."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from torch import Tensor

from pipelines.methods.appearance_warping.reference import Reference

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

MOST = 4
"""References per model."""

LARGEST = 512 * 2**20
"""Bytes of one that is kept: at the full size of the large models they are recorded anew."""

_kept: WeakKeyDictionary[Backbone, OrderedDict[Hashable, Reference]] = WeakKeyDictionary()


def recall(backbone: Backbone, key: Hashable) -> Reference | None:
    """What `remember` was given under `key` for this loaded model, if it is still there; None is no key."""
    kept = _kept.get(backbone, {})
    if key is None or key not in kept:
        return None
    kept.move_to_end(key)
    return kept[key]


def remember(backbone: Backbone, key: Hashable, reference: Reference) -> None:
    """Keep `reference` in place of the one that was not used for longest, unless it is too large or `key` is None.

    Args:
        key: everything that it depends on beside the model: weights of the subject, picture, size, settings.
    """
    if key is None or sum(part.numel() * part.element_size() for part in _tensors(reference)) > LARGEST:
        return
    kept = _kept.setdefault(backbone, OrderedDict())
    kept[key] = reference
    while len(kept) > MOST:
        kept.popitem(last=False)


def _tensors(reference: Reference) -> Iterator[Tensor]:
    """All tensors of a reference."""
    for features in reference.features.values():
        yield from (features.query, features.key)
    for table in (reference.values, reference.keys):
        yield from table.values()
    if reference.attention is not None:
        yield reference.attention
