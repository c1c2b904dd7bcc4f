"""Adapters: without effect at first, kept in files that diffusers reads, gone without a trace; hostile files are sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from pipelines.backbones.adapters import HEADER, lora, lora_weights, read_lora, save_lora, trainable
from pipelines.errors import UserError

CONFIG = LoraConfig(r=3, lora_alpha=6, target_modules=["to_k", "to_v", "to_out.0"])


def predict(backbone) -> torch.Tensor:
    latents, text = backbone.initial_noise(5, 32, 32, 0), backbone.encode_text(["a red ball"])
    with torch.no_grad():
        return backbone.denoise(latents, torch.tensor(500), text)


@pytest.fixture
def file(backbone, tmp_path: Path) -> Path:
    """An adapter with an effect, written by us."""
    torch.manual_seed(0)
    with lora(backbone, CONFIG):
        for parameter in trainable(backbone):
            torch.nn.init.normal_(parameter, std=0.3)
        save_lora(backbone, tmp_path / "rex.safetensors", CONFIG, lora_weights(backbone))
    return tmp_path / "rex.safetensors"


def test_a_new_adapter_changes_nothing_and_is_all_that_trains(backbone) -> None:
    before = predict(backbone)
    with lora(backbone, CONFIG):
        assert torch.equal(predict(backbone), before)
        names = [name for name, parameter in backbone.transformer.named_parameters() if parameter.requires_grad]
        assert names and all("lora_" in name for name in names)
        assert not any(".to_q." in name for name in names)
        blocks = {name.split(".")[1] for name in names}
        assert len(blocks) == len(backbone.blocks())


def test_afterwards_every_module_is_the_one_it_was(backbone, file: Path) -> None:
    modules, before = dict(backbone.transformer.named_modules()), predict(backbone)
    with pytest.raises(RuntimeError), lora(backbone, *read_lora(file)):
        assert not torch.allclose(predict(backbone), before)
        raise RuntimeError
    assert {name: id(module) for name, module in backbone.transformer.named_modules()} == {n: id(m) for n, m in modules.items()}
    assert torch.equal(predict(backbone), before)
    assert not any(parameter.requires_grad for parameter in backbone.transformer.parameters())


def test_diffusers_reads_the_file_as_we_do(backbone, file: Path) -> None:
    with lora(backbone, *read_lora(file)):
        ours = predict(backbone)
    backbone.pipeline.load_lora_weights(file.parent, weight_name=file.name)
    theirs = predict(backbone)
    backbone.pipeline.unload_lora_weights()
    assert torch.allclose(theirs, ours, atol=1e-6)
    config, _ = read_lora(file)
    assert (config.r, config.lora_alpha) == (3, 6)


def test_without_a_header_alpha_is_the_rank(backbone, file: Path) -> None:
    save_file(load_file(file), file)
    assert read_lora(file)[0].lora_alpha == 3


@pytest.mark.parametrize("alpha", [-1, 1e9, "a", None, [1]])
def test_a_header_is_not_trusted(file: Path, alpha: object) -> None:
    save_file(load_file(file), file, {HEADER: json.dumps({"transformer.lora_alpha": alpha, "transformer.r": 10**9})})
    assert read_lora(file)[0].lora_alpha == 3 and read_lora(file)[0].r == 3


def test_files_that_are_no_adapter_are_refused_in_a_sentence(file: Path, tmp_path: Path) -> None:
    weights = load_file(file)
    damaged = {
        "text.safetensors": b"not safetensors at all",
        "cut.safetensors": file.read_bytes()[:-50],
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
    first = next(iter(weights))
    save_file({"some.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    save_file({key: value for key, value in weights.items() if key != first}, tmp_path / "half.safetensors")
    save_file(weights | {first: weights[first] * torch.nan}, tmp_path / "nan.safetensors")
    for name in (*damaged, "other.safetensors", "half.safetensors", "nan.safetensors", "missing.safetensors"):
        with pytest.raises(UserError, match=name):
            read_lora(tmp_path / name)


def test_an_adapter_of_another_model_is_refused_and_leaves_no_trace(backbone, file: Path, tmp_path: Path) -> None:
    wide = {key: torch.zeros(value.shape[0] * 2, value.shape[1] * 2) for key, value in load_file(file).items()}
    save_file(wide, tmp_path / "wide.safetensors")
    elsewhere = {key.replace("locks.0", "locks.9"): value for key, value in load_file(file).items()}
    save_file(elsewhere, tmp_path / "deep.safetensors")
    before = predict(backbone)
    for name in ("wide.safetensors", "deep.safetensors"):
        with pytest.raises(UserError, match="another model"), lora(backbone, *read_lora(tmp_path / name)):
            pass
        assert torch.equal(predict(backbone), before)
        assert not getattr(backbone.transformer, "peft_config", None)
