"""The adapter's file: read strictly, worn for a while, and written so that diffusers reads it too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from peft import LoraConfig, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipelines.backbones.adapters import HEADER, PREFIX, fused, lora, trainable
from pipelines.backbones.lora_files import LARGEST_RANK, no_lora, read_header
from pipelines.errors import UserError
from pipelines.methods.zero_shot_subject.card import Card
from pipelines.methods.zero_shot_subject.names import ALPHA, RANK, TARGETS
from pipelines.methods.zero_shot_subject.reference_stream import check_stream

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

NAME = "reference"
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
SHOWN = 3
"""Tensors that a message names."""


@dataclass(frozen=True)
class Adapter:
    """What a file says of itself before its weights are read.

    Attributes:
        alpha: that of the header, else the paper's share of the rank: released weights come without one.
        shapes: name in the file -> shape of each tensor.
    """

    file: Path
    rank: int
    alpha: float
    card: Card
    shapes: Mapping[str, tuple[int, ...]]


def look(path: Path) -> Adapter:
    """The adapter in a file, or in a folder with one file; raises UserError naming it unless it may be one of a single rank."""
    file = _file_of(path)
    shapes, texts = read_header(file)
    ranks = {name: shape[0] for name, shape in shapes.items() if name.endswith(DOWN) and len(shape) > 1}
    if not ranks:
        raise no_lora(file)
    rank = Counter(ranks.values()).most_common(1)[0][0]
    if others := [name for name, value in ranks.items() if value != rank]:
        raise UserError(f"{file.name} is not of one rank: most of it has {rank}, {_listed(others)} not; get the adapter again.")
    if not 1 <= rank <= LARGEST_RANK:
        raise UserError(f"{file.name} holds a LoRA of a rank above {LARGEST_RANK} or of none: choose another.")
    return Adapter(file, rank, _alpha(texts, rank), Card.read(texts), shapes)


def lora_config(rank: int, alpha: float | None = None, dropout: float = 0.0) -> LoraConfig:
    """peft's configuration of an adapter (appendix A.1); alpha None: half of the rank, as in the paper."""
    alpha = rank * ALPHA / RANK if alpha is None else alpha
    return LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(TARGETS))


def expected(transformer: nn.Module, rank: int) -> dict[str, tuple[int, ...]]:
    """Name in a file -> shape of every tensor that an adapter of `rank` for `transformer` has."""
    ends, shapes = tuple(f".{target}" for target in TARGETS), {}
    for path, module in transformer.named_modules():
        if f".{path}".endswith(ends):
            out, *rest = module.weight.shape
            shapes[f"{PREFIX}{path}{DOWN}"] = (rank, *rest)
            shapes[f"{PREFIX}{path}{UP}"] = (out, rank, *(1 for _ in rest[1:]))  # a convolution's is of one pixel
    return shapes


def check_fits(adapter: Adapter, backbone: Backbone) -> None:
    """Raise UserError naming what is missing, unexpected or of another shape, unless the file is exactly one for `backbone`."""
    wanted, held = expected(backbone.transformer, adapter.rank), adapter.shapes
    other = [f"{name} as {held[name]} for {shape}" for name, shape in wanted.items() if name in held and held[name] != shape]
    faults = {"lacks": wanted.keys() - held.keys(), "holds, unexpectedly,": held.keys() - wanted.keys(), "has in another shape": other}
    told = [f"{what} {_listed(sorted(names))}" for what, names in faults.items() if names]
    if told:
        raise UserError(
            f"{adapter.file.name} was made for another model or is incomplete (it {', '.join(told)}): "
            "choose the model that it was made for, or get it again."
        )


@contextmanager
def worn(backbone: Backbone, adapter: Adapter, strength: float = 1.0, alpha: float | None = None) -> Iterator[None]:
    """Within, the transformer has the adapter; afterwards its modules are the very ones that it had.

    Args:
        strength: factor of its effect; with 0 the model is left alone.
        alpha: instead of the file's.
    Raises UserError for an adapter that does not fit.
    """
    check_stream(backbone)
    check_fits(adapter, backbone)
    if not strength:
        yield
        return
    weights = {name.removeprefix(PREFIX): value for name, value in _values(adapter).items()}
    config = lora_config(adapter.rank, (alpha or adapter.alpha) * strength)
    with lora(backbone, config, name=NAME):
        set_peft_model_state_dict(backbone.transformer, weights, adapter_name=NAME)
        backbone.transformer.delete_adapters([])  # of none: makes offloading, where there is some, take in the new values
        for parameter in trainable(backbone):
            parameter.requires_grad_(False)
        with fused(backbone):
            yield


def save_adapter(file: Path, config: LoraConfig, weights: Mapping[str, Tensor], card: Card) -> None:
    """Write an adapter in the layout of the released ones, with rank and alpha where diffusers looks for them.

    Args:
        config: what it was trained with, see `lora_config`.
        weights: peft's names -> values, as `lora_weights` gives them.
    """
    settings = {PREFIX + name: value for name, value in config.to_dict().items()}
    texts = {"format": "pt", HEADER: json.dumps(settings, sort_keys=True, default=_plain)}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({PREFIX + name: value.contiguous() for name, value in weights.items()}, file, texts | card.texts())


def _plain(value: object) -> object:
    """What JSON can hold of a setting of peft's."""
    return sorted(value) if isinstance(value, set) else str(value)


def _file_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = sorted(path.glob("*.safetensors"))
    if len(files) != 1:
        raise UserError(f"There are {len(files)} safetensors files in {path.name} where one adapter was meant: name its file.")
    return files[0]


def _alpha(texts: Mapping[str, str], rank: int) -> float:
    """Of the header if it is a sensible number, else the paper's share of the rank (appendix A.1: 64 of 128)."""
    try:
        value = json.loads(texts[HEADER])[f"{PREFIX}lora_alpha"]
    except (KeyError, ValueError, TypeError, RecursionError):
        value = None
    sensible = isinstance(value, int | float) and 0 < value <= 16 * LARGEST_RANK
    return float(value) if sensible else rank * ALPHA / RANK


def _values(adapter: Adapter) -> dict[str, Tensor]:
    """All tensors by their names in the file; raises UserError for a damaged file or numbers that are none."""
    file = adapter.file
    try:
        values = load_file(file)
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{file.name} cannot be read as safetensors: get the adapter again.") from error
    if wrong := [name for name, value in values.items() if not value.isfinite().all()]:
        raise UserError(f"{file.name} holds numbers that are not finite in {_listed(wrong)}: get the adapter again.")
    return values


def _listed(names: Collection[str]) -> str:
    """The first few, and how many more there are."""
    first = ", ".join(name[:120] for name in list(names)[:SHOWN])
    return first if len(names) <= SHOWN else f"{first} and {len(names) - SHOWN} more"
