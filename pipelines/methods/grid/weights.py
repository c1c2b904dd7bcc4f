"""Files of grid adapters: read strictly, worn for a while, and written so that diffusers reads those that are ordinary LoRAs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from peft import LoraConfig
from torch import Tensor

from pipelines.backbones.adapters import fused, lora, read_lora
from pipelines.backbones.lora_files import read_header
from pipelines.errors import NotAvailable
from pipelines.methods.grid.card import Card
from pipelines.methods.grid.dynamic import PARTS, DynamicConcepts, concepts_of, layer_sizes
from pipelines.methods.grid.names import FILES, Kind
from pipelines.methods.grid.queries import CellQueries, queries_of
from pipelines.methods.zero_shot_subject.weights import save_adapter

if TYPE_CHECKING:
    from pipelines.backbones.base import Backbone

NAME = "grid"


@dataclass(frozen=True)
class GridLora:
    """An adapter that is an ordinary LoRA: of Grid-Fill, or of Grid in consistent mode."""

    file: Path
    card: Card
    config: LoraConfig
    weights: Mapping[str, Tensor]


def file_of(path: Path, kind: Kind) -> Path:
    """The file of `kind` in a folder of adapters, or `path` itself if it is a file. Raises NotAvailable if there is none."""
    file = path / FILES[kind] if path.is_dir() else path
    if not file.is_file():
        raise NotAvailable(f"There is no {FILES[kind]} in {path.name[:80]}: train that adapter, or choose another folder.")
    return file


def card_of(file: Path) -> Card:
    """What a file says of itself."""
    return Card.read(read_header(file).texts)


def open_lora(path: Path, kind: Kind = "fill") -> GridLora:
    """The adapter in a folder or file; raises UserError naming the file for anything else."""
    file = file_of(path, kind)
    return GridLora(file, card_of(file), *read_lora(file))


def open_queries(path: Path) -> CellQueries:
    """The adapter of the composition mode in a folder or file; raises UserError naming the file for anything else."""
    file = file_of(path, "composition")
    return queries_of(_scaled(*read_lora(file)), file.name)


def open_concepts(path: Path) -> DynamicConcepts:
    """The dynamic concepts in a folder or file; raises UserError naming the file for anything else."""
    file = file_of(path, "dynamic")
    return concepts_of(_scaled(*read_lora(file)), file.name)


def _scaled(config: LoraConfig, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights with alpha / rank in the second factor, for modules that know no alpha."""
    scale = config.lora_alpha / config.r
    return {name: value.float() * (scale if name.endswith("lora_B.weight") else 1.0) for name, value in weights.items()}


@contextmanager
def worn(backbone: Backbone, adapter: GridLora, strength: float = 1.0) -> Iterator[None]:
    """Within, the transformer has the adapter; with strength 0 it is left alone. Raises UserError for one that does not fit."""
    with lora(backbone, adapter.config, adapter.weights, NAME, strength, adapter.file.name), fused(backbone):
        yield


def ordinary(backbone: Backbone, rank: int, targets: Sequence[str], dropout: float = 0.0) -> LoraConfig:
    """peft's configuration of an adapter with alpha = rank; targets: ends of names within the blocks."""
    paths = list(layer_sizes(backbone.transformer, targets))
    return LoraConfig(r=rank, lora_alpha=rank, lora_dropout=dropout, target_modules=paths)


def save_concepts(adapter: DynamicConcepts, file: Path, card: Card) -> None:
    """Write both LoRAs into one file."""
    both = adapter.loras()
    weights = {f"{name}.{key}": value for name in PARTS for key, value in both[name].items()}
    save_adapter(file, _plain_config(adapter.rank, weights), weights, card)


def export_concepts(adapter: DynamicConcepts, folder: Path, card: Card) -> list[Path]:
    """Write appearance and motion as two LoRAs that any tool loads side by side; gives the files."""
    files = []
    for name, weights in adapter.loras().items():
        files.append(folder / f"{name}.safetensors")
        save_adapter(files[-1], _plain_config(adapter.rank, weights), weights, card)
    return files


def save_queries(adapter: CellQueries, file: Path, card: Card) -> None:
    """Write the adapters of both cells into one file."""
    weights = adapter.weights()
    save_adapter(file, _plain_config(adapter.rank, weights), weights, card)


def _plain_config(rank: int, weights: Mapping[str, Tensor]) -> LoraConfig:
    """What a header says of weights that are there already."""
    modules = sorted({key.partition(".lora_")[0] for key in weights})
    return LoraConfig(r=rank, lora_alpha=rank, target_modules=modules)
