"""Other attention processors for a while, for edits that a hook cannot make: more keys, or new weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def processors(transformer: Any, replacements: Mapping[str, Any]) -> Iterator[None]:
    """Within, the attention layers named in `replacements` use the processors given there; afterwards each has its own again.

    Args:
        transformer: a diffusers model with attention processors.
        replacements: name of the attention module ("blocks.3.attn1", `AttentionBlock.name`) -> processor.
    Raises KeyError for a name that does not exist.
    """
    before = transformer.attn_processors
    wanted = {f"{name}.processor": processor for name, processor in replacements.items()}
    if unknown := wanted.keys() - before.keys():
        raise KeyError(f"no such attention layers: {sorted(unknown)}")
    try:
        transformer.set_attn_processor(before | wanted)  # a fresh dict each time: it is emptied in there
        yield
    finally:
        transformer.set_attn_processor(dict(before))
