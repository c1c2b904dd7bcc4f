"""Files of adapters: complete or refused, with the strength that they were trained with, worn without a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from tiny_loras import predict, write_lora

from pipelines.backbones.adapters import HEADER, lora, read_lora
from pipelines.backbones.cogvideox import CogVideoXBackbone
from pipelines.errors import UserError
from pipelines.methods.zero_shot_subject.card import Card
from pipelines.methods.zero_shot_subject.names import ALPHA, RANK, TARGETS
from pipelines.methods.zero_shot_subject.weights import check_fits, expected, look, worn

CONFIG = Path(__file__).parents[2] / "backbones" / "configs" / "cogvideox-5b.json"


@pytest.fixture
def values(adapter_file: Path) -> dict[str, torch.Tensor]:
    return load_file(adapter_file)


def test_the_released_adapter_has_676_tensors() -> None:
    """As many, of the names and shapes that peft makes for the published model."""
    with torch.device("meta"):
        transformer = CogVideoXTransformer3DModel.from_config(json.loads(CONFIG.read_text()))
        wanted = expected(transformer, RANK)
        transformer.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(TARGETS)))
    made = get_peft_model_state_dict(transformer, adapter_name="default")
    assert len(wanted) == 676
    assert wanted == {f"transformer.{name}": tuple(value.shape) for name, value in made.items()}
    assert wanted["transformer.patch_embed.proj.lora_A.weight"] == (128, 16, 2, 2)
    assert expected(transformer, RANK) == wanted  # also while another one is worn


def test_a_file_says_how_it_was_made(adapter_file: Path) -> None:
    adapter = look(adapter_file)
    assert (adapter.rank, adapter.alpha) == (4, 2.0)
    assert adapter.card == Card(base="tiny", recipe={"p": 0.2, "steps": 3})
    assert look(adapter_file.parent) == adapter


@torch.no_grad()
def test_it_is_worn_as_diffusers_wears_it(cogvideox, adapter_file: Path) -> None:
    with worn(cogvideox, look(adapter_file)):
        ours = predict(cogvideox)
    cogvideox.pipeline.load_lora_weights(adapter_file.parent, weight_name=adapter_file.name)
    theirs = predict(cogvideox)
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_without_a_header_it_is_worn_at_half_of_what_diffusers_would(cogvideox, values, adapter_file: Path, tmp_path: Path) -> None:
    save_file(values, tmp_path / "bare.safetensors")
    bare = look(tmp_path / "bare.safetensors")
    assert bare.alpha == 2 and bare.card == Card()
    with worn(cogvideox, bare):
        half = predict(cogvideox)
    with worn(cogvideox, bare, alpha=4):
        whole = predict(cogvideox)
    with worn(cogvideox, look(adapter_file), strength=2):
        assert torch.allclose(predict(cogvideox), whole, atol=1e-5)
    assert not torch.allclose(half, whole, atol=1e-3)


@pytest.mark.parametrize("alpha", [-1, 0, 1e9, float("nan"), "a", None, [1]])
def test_a_header_is_not_trusted(values, tmp_path: Path, alpha: object) -> None:
    texts = {HEADER: json.dumps({"transformer.lora_alpha": alpha, "transformer.r": 10**9}), Card.ENTRY: json.dumps({"base": 5})}
    save_file(values, tmp_path / "odd.safetensors", texts)
    adapter = look(tmp_path / "odd.safetensors")
    assert (adapter.alpha, adapter.rank, adapter.card) == (2, 4, Card())


def test_afterwards_the_model_is_the_one_it_was(cogvideox, adapter_file: Path) -> None:
    transformer, before = cogvideox.transformer, predict(cogvideox)
    modules, weights = dict(transformer.named_modules()), {name: value.clone() for name, value in transformer.state_dict().items()}
    trains = [parameter.requires_grad for parameter in transformer.parameters()]
    with pytest.raises(RuntimeError), worn(cogvideox, look(adapter_file)):
        assert not torch.allclose(predict(cogvideox), before, atol=1e-3)
        assert not any(parameter.requires_grad for parameter in transformer.parameters())
        raise RuntimeError
    assert {name: id(module) for name, module in transformer.named_modules()} == {name: id(module) for name, module in modules.items()}
    assert transformer.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in transformer.state_dict().items())
    assert trains == [parameter.requires_grad for parameter in transformer.parameters()]
    assert torch.equal(predict(cogvideox), before)


def test_with_strength_0_the_model_is_left_alone(cogvideox, adapter_file: Path) -> None:
    before, modules = predict(cogvideox), [id(module) for module in cogvideox.transformer.modules()]
    with worn(cogvideox, look(adapter_file), strength=0):
        assert [id(module) for module in cogvideox.transformer.modules()] == modules
        assert torch.equal(predict(cogvideox), before)


def test_it_is_worn_over_a_lora_of_the_users(cogvideox, adapter_file: Path, tmp_path: Path) -> None:
    own = read_lora(write_lora(cogvideox, tmp_path / "own.safetensors"))
    before = predict(cogvideox)
    with worn(cogvideox, look(adapter_file)):
        alone = predict(cogvideox)
    with lora(cogvideox, *own, name="own"), worn(cogvideox, look(adapter_file)):
        both = predict(cogvideox)
    with worn(cogvideox, look(adapter_file)), lora(cogvideox, *own, name="own"):
        assert torch.allclose(predict(cogvideox), both, atol=1e-4)
    assert not torch.allclose(alone, both, atol=1e-3) and torch.equal(predict(cogvideox), before)


@pytest.mark.parametrize("bytewise", [False, True])
def test_in_half_precision_or_bytes_and_offloaded_it_works_too(cogvideox, adapter_file: Path, bytewise: bool) -> None:
    transformer, values = cogvideox.transformer, load_file(adapter_file)
    if bytewise:
        transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
        transformer.enable_group_offload(onload_device=torch.device("cpu"), offload_type="leaf_level")
    else:
        transformer.to(torch.bfloat16)
        cogvideox.dtype = torch.bfloat16
    before, path = predict(cogvideox), "patch_embed.proj"
    with worn(cogvideox, look(adapter_file)):
        assert not torch.allclose(predict(cogvideox), before, atol=1e-2)
        down = transformer.get_submodule(path).lora_A["reference"]
        assert torch.allclose(down.weight.float(), values[f"transformer.{path}.lora_A.weight"], atol=1e-2)
        assert not bytewise or down._diffusers_hook.get_hook("group_offloading"), "moved to the card together with the layer"
    assert torch.equal(predict(cogvideox), before)


FIRST = "transformer.patch_embed.proj.lora_A.weight"
QUERY = "transformer.transformer_blocks.0.attn1.to_q.lora_A.weight"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda values: values.pop(FIRST), rf"lacks {FIRST}\)"),
        (lambda values: [values.pop(name) for name in list(values) if ".attn1." in name], r"lacks .* and 21 more"),
        (lambda values: values.update({"transformer.proj_out.lora_A.weight": torch.zeros(4, 32)}), "unexpectedly, transformer.proj_out"),
        (lambda values: values.update({QUERY: torch.zeros(4, 48)}), r"another shape .*to_q.lora_A.weight as \(4, 48\) for \(4, 32\)"),
        (lambda values: values.update({QUERY: torch.zeros(8, 32)}), "not of one rank.*to_q"),
        (lambda values: values.update({QUERY: torch.full((4, 32), torch.nan)}), "not finite in .*to_q"),
        (lambda values: [values.update({f"base_model.{name}": values.pop(name)}) for name in list(values)], "lacks .* unexpectedly, base"),
    ],
)
def test_a_file_that_is_not_exactly_one_is_refused(cogvideox, values, tmp_path: Path, change, says: str) -> None:
    change(values)
    save_file(values, tmp_path / "other.safetensors")
    before = predict(cogvideox)
    with pytest.raises(UserError, match=says) as refused, worn(cogvideox, look(tmp_path / "other.safetensors")):
        pass
    assert "other.safetensors" in str(refused.value) and str(refused.value).endswith(".") and len(str(refused.value)) < 1200
    assert torch.equal(predict(cogvideox), before) and not getattr(cogvideox.transformer, "peft_config", None)


def test_files_that_are_no_adapter_are_refused(adapter_file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_bytes(b"not safetensors at all")
    (tmp_path / "cut.safetensors").write_bytes(adapter_file.read_bytes()[:-50])
    save_file({"some.weight": torch.zeros(2)}, tmp_path / "none.safetensors")
    save_file({FIRST: torch.zeros(0, 4, 2, 2)}, tmp_path / "empty.safetensors")
    for name in ("text", "cut", "none", "empty", "missing"):
        with pytest.raises(UserError, match=f"{name}.safetensors"):
            look(tmp_path / f"{name}.safetensors")
    with pytest.raises(UserError, match="4 safetensors files"):
        look(tmp_path)


def test_an_adapter_of_another_model_is_refused(adapter_file: Path, one_thread) -> None:
    from tiny_models import tiny_cogvideox

    deeper = CogVideoXBackbone(tiny_cogvideox(layers=4))
    with pytest.raises(UserError, match=r"another model.*lacks transformer.transformer_blocks.3"):
        check_fits(look(adapter_file), deeper)
