"""LoRA adapters on a loaded model for a while, and their files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipelines.errors import UserError

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

LARGEST_RANK = 1024
HEADER = "lora_adapter_metadata"
PREFIX = "transformer."


@contextmanager
def lora(backbone: Backbone, config: LoraConfig, weights: Mapping[str, Tensor] | None = None, name: str = "subject") -> Iterator[None]:
    """Within, the transformer has an adapter; afterwards its modules are the very ones that it had.

    Args:
        config: rank, alpha and target modules.
        weights: peft's names -> values, as `lora_weights` gives them; None leaves the adapter without effect.
    Raises UserError for weights that do not fit the model.
    """
    transformer = backbone.transformer
    if getattr(transformer, "peft_config", None):
        raise RuntimeError("The model has an adapter already.")
    try:
        transformer.add_adapter(config, adapter_name=name)
        if weights is not None:
            _fill(transformer, weights, name)
        yield
    finally:
        if getattr(transformer, "peft_config", None):
            transformer.unload_lora()
        transformer.requires_grad_(False)


def lora_weights(backbone: Backbone, name: str = "subject") -> dict[str, Tensor]:
    """The adapter's weights by peft's names, copies in main memory."""
    return {key: value.detach().cpu().clone() for key, value in get_peft_model_state_dict(backbone.transformer, adapter_name=name).items()}


def save_lora(backbone: Backbone, file: Path, config: LoraConfig, weights: Mapping[str, Tensor]) -> None:
    """Write the adapter as diffusers reads it with `load_lora_weights`, with rank and alpha in the header."""
    type(backbone.pipeline).save_lora_weights(
        file.parent,
        transformer_lora_layers={key: value.contiguous() for key, value in weights.items()},
        transformer_lora_adapter_metadata=_plain(config.to_dict()),
        weight_name=file.name,
    )


def read_lora(file: Path) -> tuple[LoraConfig, dict[str, Tensor]]:
    """Configuration and weights of an adapter file for a transformer, as `save_lora` or diffusers wrote it.

    The header is not trusted: rank and alpha are taken from it only as numbers within bounds, the rest is read off the weights.
    Raises UserError naming the file for anything else.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            header = opened.metadata() or {}
            values = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  not a dict
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{file.name} cannot be read as safetensors: export the adapter again.") from error
    weights = {key.removeprefix(PREFIX): value for key, value in values.items() if key.startswith(PREFIX)}
    down = {key: value for key, value in weights.items() if key.endswith(".lora_A.weight")}
    if not down or len(weights) != 2 * len(down) or any(not value.isfinite().all() for value in weights.values()):
        raise UserError(f"{file.name} holds no LoRA for the transformer of a video model.")
    ranks = {value.shape[0] for value in down.values()}
    if len(ranks) != 1 or not 1 <= (rank := ranks.pop()) <= LARGEST_RANK:
        raise UserError(f"{file.name} holds a LoRA of several ranks or one above {LARGEST_RANK}, which cannot be used here.")
    targets = sorted(key.removesuffix(".lora_A.weight") for key in down)
    return LoraConfig(r=rank, lora_alpha=_alpha(header, rank), target_modules=targets), weights


def _fill(transformer: Any, weights: Mapping[str, Tensor], name: str) -> None:
    try:
        outcome = set_peft_model_state_dict(transformer, dict(weights), adapter_name=name)
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError("The adapter was made for another model: choose the model that its card names.") from error
    if outcome.unexpected_keys:
        raise UserError("The adapter was made for another model: choose the model that its card names.")


def _alpha(header: Mapping[str, str], rank: int) -> float:
    """lora_alpha of the header if it is a sensible number; else the rank, as diffusers does."""
    try:
        alpha = json.loads(header[HEADER])[f"{PREFIX}lora_alpha"]
        return float(alpha) if 0 < float(alpha) <= 16 * LARGEST_RANK else float(rank)
    except (KeyError, ValueError, TypeError):
        return float(rank)


def _plain(values: Any) -> Any:
    """What JSON can hold: sets become lists, other objects their text."""
    if isinstance(values, Mapping):
        return {str(key): _plain(value) for key, value in values.items()}
    if isinstance(values, set | list | tuple):
        return sorted(_plain(value) for value in values)
    return values if isinstance(values, str | int | float | bool) or values is None else str(values)


def trainable(backbone: Backbone) -> list[torch.nn.Parameter]:
    """The parameters of the adapter that is on the transformer."""
    return [parameter for parameter in backbone.transformer.parameters() if parameter.requires_grad]
