"""LoRA adapters on a loaded model for a while, and their files."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pipelines.backbones.lora_files import LARGEST_RANK, no_lora, ranks_of, read_header
from pipelines.errors import UserError

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

HEADER = "lora_adapter_metadata"
PREFIX = "transformer."


@contextmanager
def lora(
    backbone: Backbone,
    config: LoraConfig,
    weights: Mapping[str, Tensor] | None = None,
    name: str = "subject",
    strength: float = 1.0,
    title: str = "The adapter",
) -> Iterator[None]:
    """Within, the transformer has one more adapter; afterwards its modules are the very ones that it had.

    Adapters of different names nest, and their effects add up.

    Args:
        config: rank, alpha and target modules.
        weights: peft's names -> values, as `lora_weights` gives them, which are frozen; None: a new adapter, without effect
            until it is trained.
        strength: factor of the adapter's effect; with 0 the model is left alone.
        title: what sentences call it.
    Raises UserError for weights that do not fit the model.
    """
    transformer = backbone.transformer
    others = list(getattr(transformer, "peft_config", {}))
    if name in others:
        raise RuntimeError(f"The model has an adapter called {name} already.")
    if weights is not None:
        _check_fit(transformer, weights, title)
        if strength == 0:
            yield
            return
    with _restored(transformer, name) as trained:
        _add(transformer, config, name)
        transformer.set_adapter([*others, name])
        for parameter in transformer.parameters():
            parameter.requires_grad_(trained.get(parameter, weights is None))
            if parameter not in trained and parameter.dtype.itemsize == 1:  # made like the base, whose bytes are not computed with
                parameter.data = parameter.data.to(backbone.dtype)
        if weights is not None:
            set_peft_model_state_dict(transformer, dict(weights), adapter_name=name)
        for layer in _layers(transformer).values():
            layer.set_scale(name, strength)
        transformer.delete_adapters([])  # of none: makes offloading, where there is some, take in the new layers
        yield


@contextmanager
def _restored(transformer: Any, name: str) -> Iterator[dict[nn.Parameter, bool]]:
    """Yields which parameters there are and whether they train; removes the adapter `name` and all traces of it."""
    layers = _layers(transformer).keys()
    trained = {parameter: parameter.requires_grad for parameter in transformer.parameters()}
    try:
        yield trained
    finally:
        transformer.delete_adapters(name)
        for path in _layers(transformer).keys() - layers:
            transformer.set_submodule(path, transformer.get_submodule(path).get_base_layer())
        for parameter, trains in trained.items():
            parameter.requires_grad_(trains)


@contextmanager
def fused(backbone: Backbone) -> Iterator[None]:
    """Within, layers with adapters are plain ones that hold the sum of weight and adapters: as fast as the untouched model.

    For drawing only: an adapter within learns nothing. Weights that are not in float32, where adapters would be rounded away,
    or that move between memories stay as they are.
    """
    layers = {path: layer for path, layer in _layers(backbone.transformer).items() if _can_be_fused(layer)}
    try:
        for path, layer in layers.items():
            backbone.transformer.set_submodule(path, _sum(layer))
        yield
    finally:
        for path, layer in layers.items():
            backbone.transformer.set_submodule(path, layer)


def _can_be_fused(layer: LoraLayer) -> bool:
    base = layer.get_base_layer()
    moved = any(hasattr(module, "_diffusers_hook") for module in layer.modules())
    return isinstance(base, nn.Linear) and base.weight.dtype == torch.float32 and not moved and not any(layer.lora_bias.values())


@torch.no_grad()
def _sum(layer: LoraLayer) -> nn.Linear:
    """A linear layer of its own memory that does what `layer` does."""
    base = layer.get_base_layer()
    plain = nn.Linear(base.in_features, base.out_features, device="meta")
    weight = base.weight + sum(layer.get_delta_weight(name) for name in layer.active_adapters if name in layer.lora_A)
    plain.weight, plain.bias = nn.Parameter(weight, requires_grad=False), base.bias
    return plain


def trainable(backbone: Backbone) -> list[nn.Parameter]:
    """The parameters of the adapter that is being trained."""
    return [parameter for parameter in backbone.transformer.parameters() if parameter.requires_grad]


def _layers(transformer: Any) -> dict[str, LoraLayer]:
    """Path -> layer of those that have an adapter."""
    return {path: module for path, module in transformer.named_modules() if isinstance(module, LoraLayer)}


def _add(transformer: Any, config: LoraConfig, name: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")  # a second adapter is meant
        transformer.add_adapter(config, adapter_name=name)


def _check_fit(transformer: Any, weights: Mapping[str, Tensor], title: str) -> None:
    """Before anything is made in the sizes that weights have: each must be for a linear layer of the model, in its size."""
    modules = {path: module for path, module in transformer.named_modules() if isinstance(module, nn.Linear | LoraLayer)}
    for key, value in weights.items():
        path, _, part = key.partition(".lora_")
        layer = None if path.endswith(".base_layer") else modules.get(path)
        wanted = layer and {
            "A.weight": (*value.shape[:1], layer.in_features),
            "B.weight": (layer.out_features, *value.shape[1:]),
            "B.bias": (layer.out_features,),
        }.get(part)
        if wanted != tuple(value.shape):
            raise UserError(f"{title} was made for another model: choose the model that it belongs to.")


# --- files ---------------------------------------------------------------------------------------------------------


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


def _plain(values: Any) -> Any:
    """What JSON can hold: sets become lists, other objects their text."""
    if isinstance(values, Mapping):
        return {str(key): _plain(value) for key, value in values.items()}
    if isinstance(values, set | list | tuple):
        return sorted(_plain(value) for value in values)
    return values if isinstance(values, str | int | float | bool) or values is None else str(values)


def read_lora(file: Path, pipeline: Any = None) -> tuple[LoraConfig, dict[str, Tensor]]:
    """Configuration and weights of an adapter file for a transformer, as `save_lora` or diffusers wrote it.

    The header is not trusted: alpha is taken from it only as a number within bounds, the rest is read off the weights.

    Args:
        pipeline: class of diffusers that converts other tools' layouts; None: there is none but diffusers' own.
    Raises UserError naming the file for anything else.
    """
    header = read_header(file)
    ranks_of(file, header.shapes)
    try:
        values = load_file(file)
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{file.name} cannot be read as safetensors: export the adapter again.") from error
    if pipeline is not None:
        values = _converted(file, values, pipeline)
    weights = {key.removeprefix(PREFIX): value for key, value in values.items() if key.startswith(PREFIX)}
    ranks = ranks_of(file, {key: tuple(value.shape) for key, value in weights.items()})
    biases = {key for key in weights if key.endswith(".lora_B.bias")}
    if len(weights) != len(values) or len(weights) != 2 * len(ranks) + len(biases):
        raise no_lora(file)
    if any(not value.isfinite().all() for value in weights.values()):
        raise UserError(f"{file.name} holds numbers that are not finite: export the adapter again.")
    return _config(ranks, _settings(header.texts), bool(biases)), weights


def _converted(file: Path, values: dict[str, Tensor], pipeline: Any) -> dict[str, Tensor]:
    """In diffusers' own layout. An alpha that is not positive would keep its conversion from ending."""
    if any(not 0 < value.item() < float("inf") for key, value in values.items() if key.endswith(".alpha")):
        raise no_lora(file)
    try:
        return pipeline.lora_state_dict(values)
    except Exception as error:  # it trusts files: whatever it raises means that this one is of another kind
        raise no_lora(file) from error


def _config(ranks: Mapping[str, int], settings: Mapping[str, Any], biased: bool) -> LoraConfig:
    """peft's configuration; modules whose rank or alpha is not the usual one are listed, by patterns that match them alone."""
    patterns = settings.get("alpha_pattern")
    chosen = {re.sub(r"[\\^]", "", key): value for key, value in patterns.items()} if isinstance(patterns, Mapping) else {}
    alphas = {module: _alpha(module, chosen) or _number(settings.get("lora_alpha")) or rank for module, rank in ranks.items()}
    rank, alpha = (Counter(numbers.values()).most_common(1)[0][0] for numbers in (ranks, alphas))
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        rank_pattern={f"^{re.escape(module)}": value for module, value in ranks.items() if value != rank},
        alpha_pattern={f"^{re.escape(module)}": value for module, value in alphas.items() if value != alpha},
        target_modules=sorted(ranks),
        use_rslora=settings.get("use_rslora") is True,
        lora_bias=biased,
    )


def _settings(texts: Mapping[str, str]) -> dict[str, Any]:
    """What a header says of the adapter, unchecked; nothing where it says nothing that can be read."""
    try:
        return {key.removeprefix(PREFIX): value for key, value in json.loads(texts[HEADER]).items()}
    except (KeyError, ValueError, AttributeError, RecursionError):
        return {}


def _alpha(module: str, patterns: Mapping[str, Any]) -> float | None:
    """A module's own alpha: patterns are taken for the ends of names that they nearly always are, and never run."""
    parts = module.split(".")
    ends = (".".join(parts[start:]) for start in range(len(parts)))
    return next((_number(patterns[end]) for end in ends if end in patterns), None)


def _number(value: Any) -> float | None:
    """`value` if it is a sensible number; else None, and so the rank is taken, as diffusers does without a header."""
    return value if isinstance(value, int | float) and 0 < value <= 16 * LARGEST_RANK else None
