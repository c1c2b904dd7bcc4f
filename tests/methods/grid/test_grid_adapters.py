"""The three adapters: their algebra, their files, and the model without a trace of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from tiny_loras import predict

from pipelines.backbones.adapters import lora
from pipelines.errors import NotAvailable, UserError
from pipelines.methods.grid.card import Card
from pipelines.methods.grid.dynamic import DynamicConcepts, fresh_concepts, layer_sizes, with_concepts
from pipelines.methods.grid.names import FILES, QUERIES, TARGETS
from pipelines.methods.grid.queries import CellQueries, fresh_queries, shares_of, with_queries
from pipelines.methods.grid.weights import (
    card_of,
    export_concepts,
    open_concepts,
    open_lora,
    open_queries,
    save_concepts,
    save_queries,
    worn,
)  # fmt: skip

CARD = Card(kind="dynamic", base="tiny", recipe={"rank": 3, "rate": 1e-4})


def shaken(adapter: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """With weights that have an effect."""
    torch.manual_seed(seed)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return adapter.eval().requires_grad_(False)


@pytest.fixture
def concepts(wan) -> DynamicConcepts:
    return shaken(fresh_concepts(wan, 3))


@pytest.fixture
def queries(wan) -> CellQueries:
    return shaken(fresh_queries(wan, 3))


def test_every_layer_of_the_blocks_is_changed(wan) -> None:
    sizes = layer_sizes(wan.transformer, TARGETS)
    assert len(sizes) == 3 * 10 and sizes["blocks.2.ffn.net.2"] == (48, 24)
    assert layer_sizes(wan.transformer, QUERIES).keys() == {f"blocks.{n}.{name}.to_q" for n in range(3) for name in ("attn1", "attn2")}


def test_fresh_adapters_do_nothing(wan) -> None:
    before = predict(wan)
    with with_concepts(wan, fresh_concepts(wan).eval()), with_queries(wan, fresh_queries(wan).eval(), torch.rand(32, 2)):
        assert torch.equal(predict(wan), before)


@torch.no_grad()
def test_dynamic_concepts_are_two_loras_in_diffusers(wan, concepts, tmp_path: Path) -> None:
    before = predict(wan)
    with with_concepts(wan, concepts):
        ours = predict(wan)
    files = export_concepts(concepts, tmp_path, CARD)
    names = [file.stem for file in files]
    assert names == ["appearance", "motion"]
    for file in files:
        wan.pipeline.load_lora_weights(tmp_path, weight_name=file.name, adapter_name=file.stem)
    wan.pipeline.set_adapters(names, [1.0, 1.0])
    assert torch.allclose(predict(wan), ours, atol=1e-4) and not torch.allclose(ours, before, atol=1e-2)
    shared = [{name: value for name, value in load_file(file).items() if ".lora_B." in name} for file in files]
    assert all(torch.equal(value, shared[1][name]) for name, value in shared[0].items())


def test_stages_train_their_own_factors(wan) -> None:
    adapter = fresh_concepts(wan, 2)
    for stage, names in (("set", {"A1", "B1"}), ("sequence", {"B2"})):
        trained = adapter.train_stage(stage)
        assert {name.rpartition(".")[2] for name, value in adapter.named_parameters() if value.requires_grad} == names
        assert len(trained) == len(names) * len(adapter.layers)


def test_files_of_dynamic_concepts_come_back(wan, concepts, tmp_path: Path) -> None:
    save_concepts(concepts, tmp_path / FILES["dynamic"], CARD)
    again = open_concepts(tmp_path)
    assert card_of(tmp_path / FILES["dynamic"]) == CARD
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in concepts.state_dict().items())
    before = predict(wan)
    with with_concepts(wan, again, 0.0):
        assert torch.equal(predict(wan), before)
    with pytest.raises(RuntimeError), with_concepts(wan, again):
        assert not torch.equal(predict(wan), before)
        raise RuntimeError
    assert torch.equal(predict(wan), before) and not any(module._forward_hooks for module in wan.transformer.modules())


@torch.no_grad()
def test_queries_of_cells_are_equations_1_to_3(wan, queries) -> None:
    """Each cell's queries against a model whose weights were really changed."""
    tokens = [range(5), range(5, 9), range(9, 14), range(14, 16)]
    shares, path = shares_of(tokens, 0, 1), "blocks.0.attn1.to_q"
    layer, own, x = wan.transformer.get_submodule(path), dict(queries.items())[path], torch.randn(2, 16, 24)
    base = layer.weight.clone()
    dW = {name: own[name].up @ own[name].down for name in "ab"}
    with with_queries(wan, queries, shares):
        found = layer(x)
    for cell, change in enumerate((dW["a"], dW["b"], (dW["a"] + dW["b"]) / 2, (dW["a"] + dW["b"]) / 2)):
        part = list(tokens[cell])
        assert torch.allclose(found[:, part], torch.nn.functional.linear(x[:, part], base + change, layer.bias), atol=1e-5)


@torch.no_grad()
def test_with_one_adapter_for_both_it_is_an_ordinary_lora(wan, queries) -> None:
    """The consistent mode: dWq_A = dWq_B."""
    weights = {}
    for path, layer in queries.items():
        layer["b"].load_state_dict(layer["a"].state_dict())
        weights |= {f"{path}.lora_A.weight": layer["a"].down.clone(), f"{path}.lora_B.weight": layer["a"].up.clone()}
    latents = wan.initial_noise(5, 32, 32, 0)
    tokens = [list(part) for part in torch.arange(wan.tokens(latents).video).chunk(4)]
    with with_queries(wan, queries, shares_of(tokens, 0, 1)):
        ours = predict(wan)
    paths = [path for path, _ in queries.items()]
    with lora(wan, LoraConfig(r=3, lora_alpha=3, target_modules=paths), weights):
        assert torch.allclose(predict(wan), ours, atol=1e-5)


def test_files_of_queries_come_back_with_their_strength(queries, tmp_path: Path) -> None:
    save_queries(queries, tmp_path / FILES["composition"], Card(kind="composition"))
    again = open_queries(tmp_path)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in queries.state_dict().items())


def test_filling_is_worn_as_diffusers_wears_it(wan, fill_folder: Path) -> None:
    before = predict(wan)
    adapter = open_lora(fill_folder)
    assert adapter.card.kind == "fill" and adapter.card.base == "tiny"
    with worn(wan, adapter):
        ours = predict(wan)
    with worn(wan, adapter, 0.0):
        assert torch.equal(predict(wan), before)
    assert torch.equal(predict(wan), before) and not torch.allclose(ours, before, atol=1e-2)
    wan.pipeline.load_lora_weights(fill_folder, weight_name=FILES["fill"])
    assert torch.allclose(predict(wan), ours, atol=1e-4)


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "other"}', '{"base": 5}', "x" * 200_000])
def test_a_card_is_not_trusted(text: str) -> None:
    assert Card.read({Card.ENTRY: text}) == Card()


def test_files_that_are_none_are_refused(wan, concepts, queries, fill_folder: Path, tmp_path: Path) -> None:
    save_concepts(concepts, tmp_path / "dynamic.safetensors", CARD)
    save_queries(queries, tmp_path / "compose.safetensors", CARD)
    values = load_file(tmp_path / "dynamic.safetensors")
    name = next(name for name in values if name.startswith("transformer.motion.") and ".lora_B." in name)
    save_file(values | {name: values[name] + 1}, tmp_path / "apart.safetensors")
    save_file({key: value for key, value in values.items() if ".motion." not in key}, tmp_path / "half.safetensors")
    for file in ("apart", "half", "compose"):
        with pytest.raises(UserError, match=f"{file}.safetensors"):
            open_concepts(tmp_path / f"{file}.safetensors")
    with pytest.raises(UserError, match="queries"):
        open_queries(tmp_path / "dynamic.safetensors")
    with pytest.raises(NotAvailable, match=r"fill.safetensors"):
        open_lora(tmp_path)
    wrong = DynamicConcepts({"blocks.0.attn1.to_q": (99, 24)}, 2)
    with pytest.raises(UserError, match="another model"), with_concepts(wan, wrong):
        pass
    with (
        pytest.raises(UserError, match="another model"),
        with_queries(wan, CellQueries({"blocks.9.attn1.to_q": (24, 24)}), torch.ones(1, 2)),
    ):
        pass
