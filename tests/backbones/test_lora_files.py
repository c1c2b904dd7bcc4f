"""LoRAs from anywhere: layouts of other tools mean the same, ranks may differ, and whatever else comes is a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from tiny_loras import predict, write_lora

from pipelines.backbones import lora_files
from pipelines.backbones.adapters import HEADER, lora, read_lora
from pipelines.backbones.lora_files import check_lora
from pipelines.errors import UserError

PLACES = {"ffn.net.0.proj": "ffn.0", "ffn.net.2": "ffn.2"} | {
    f"{ours}.{part}": f"{theirs}.{part.removeprefix('to_')[0]}"
    for ours, theirs in (("attn1", "self_attn"), ("attn2", "cross_attn"))
    for part in ("to_q", "to_k", "to_v", "to_out.0")
}
"""Modules of a Wan block in diffusers and in the published model."""

MIXED = LoraConfig(r=3, lora_alpha=3, rank_pattern={"to_k": 5, r"0\.attn1\.to_q": 1}, alpha_pattern={"to_k": 5, r"0\.attn1\.to_q": 1})
MIXED.target_modules = {"to_q", "to_k", "to_v"}


@pytest.fixture(params=["wan", "cogvideox", "ltx"])
def backbone(request: pytest.FixtureRequest):
    """Each family that has adapters in turn."""
    return request.getfixturevalue(request.param)


def drawn(backbone, file: Path) -> torch.Tensor:
    with lora(backbone, *read_lora(file, type(backbone.pipeline)), name="own"):
        return predict(backbone)


def by_diffusers(backbone, file: Path) -> torch.Tensor:
    backbone.pipeline.load_lora_weights(file.parent, weight_name=file.name)
    prediction = predict(backbone)
    backbone.pipeline.unload_lora_weights()
    return prediction


def sentence(file: Path, read=check_lora) -> str:
    """The one sentence about a file that is refused."""
    with pytest.raises(UserError) as caught:
        read(file)
    text = str(caught.value)
    assert file.name[:80] in text and text.endswith(".") and ": " in text and "\n" not in text
    return text


# --- what is accepted ------------------------------------------------------------------------------------------------


def test_ranks_that_differ_are_drawn_as_diffusers_draws_them(backbone, tmp_path: Path) -> None:
    file = write_lora(backbone, tmp_path / "mixed.safetensors", MIXED)
    check_lora(file)
    config, _ = read_lora(file)
    assert {config.r, *config.rank_pattern.values()} == {1, 3, 5}
    assert torch.allclose(drawn(backbone, file), by_diffusers(backbone, file), atol=1e-5)
    save_file(load_file(file), file)  # without a header every alpha is the rank, as they were
    assert torch.allclose(drawn(backbone, file), by_diffusers(backbone, file), atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{"lora_alpha": 9}, {"lora_alpha": 4, "alpha_pattern": {"to_k": 12, "attn1.to_q": 2}}, {"lora_alpha": 4, "use_rslora": True}],
)
def test_a_header_counts_as_it_does_in_diffusers(backbone, tmp_path: Path, settings: dict) -> None:
    file = write_lora(backbone, tmp_path / "headed.safetensors", LoraConfig(r=3, target_modules=["to_q", "to_k"], **settings))
    assert torch.allclose(drawn(backbone, file), by_diffusers(backbone, file), atol=1e-5)


LAYOUTS = {
    "published": ("diffusion_model.blocks.{}.{}", "lora_A", "lora_B", None),
    "with alphas": ("diffusion_model.blocks.{}.{}", "lora_down", "lora_up", 6.0),
    "with underscores": ("lora_unet_blocks_{}_{}", "lora_down", "lora_up", 6.0),
}


def in_layout(native: dict[str, torch.Tensor], layout: str) -> dict[str, torch.Tensor]:
    """A native LoRA by the names of the published Wan, as other tools write it."""
    name, down, up, alpha = LAYOUTS[layout]
    found = {}
    for key, value in native.items():
        module, part = key.removeprefix("transformer.blocks.").split(".lora_")
        index, place = module.split(".", 1)
        place = PLACES[place].replace(".", "_") if layout == "with underscores" else PLACES[place]
        other = name.format(index, place)
        found[f"{other}.{down if part == 'A.weight' else up}.weight"] = value
        if alpha:
            found[f"{other}.alpha"] = torch.tensor(alpha)
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layouts_of_other_tools_mean_the_same(wan, tmp_path: Path, layout: str) -> None:
    config = LoraConfig(r=3, lora_alpha=LAYOUTS[layout][-1] or 3, target_modules=list(PLACES))
    native = write_lora(wan, tmp_path / "native.safetensors", config)
    foreign = tmp_path / "foreign.safetensors"
    save_file(in_layout(load_file(native), layout), foreign)
    check_lora(foreign)
    expected = drawn(wan, native)
    assert not torch.allclose(expected, predict(wan))
    assert torch.allclose(drawn(wan, foreign), expected, atol=1e-5)


def test_changes_of_biases_come_along_and_norms_are_left_out(wan, tmp_path: Path) -> None:
    """As in published LoRAs that make a model quicker."""
    native = write_lora(wan, tmp_path / "native.safetensors", LoraConfig(r=3, lora_alpha=3, target_modules=["to_q"]))
    change = torch.randn(24)
    beside = {"diffusion_model.blocks.0.self_attn.q.diff_b": change, "diffusion_model.blocks.0.norm3.diff": torch.zeros(24)}
    save_file(in_layout(load_file(native), "published") | beside, file := tmp_path / "quicker.safetensors")
    check_lora(file)
    layer, nothing, found = wan.blocks()[0].attention, torch.zeros(24), []
    for path in (native, file):
        with lora(wan, *read_lora(path, type(wan.pipeline))):
            found.append(layer.to_q(nothing))
    assert torch.allclose(found[1] - found[0], change, atol=1e-5)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.fixture
def file(wan, tmp_path: Path) -> Path:
    return write_lora(wan, tmp_path / "whole.safetensors")


def test_what_a_header_shows_is_refused_without_reading_on(file: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(lora_files, "MOST_TENSORS", 200)
    weights = load_file(file)
    first = next(key for key in weights if key.endswith("lora_A.weight"))
    up, module = first.replace("lora_A", "lora_B"), first.removesuffix(".lora_A.weight")
    pair = {first: torch.zeros(3, 24), up: torch.zeros(24, 3)}
    bad = {
        "other": {"some.weight": torch.zeros(2)},
        "empty": {},
        "half": {key: value for key, value in weights.items() if key != first},
        "count": weights | {first: weights[first].to(torch.int32)},
        "vector": pair | {first: torch.zeros(3)},
        "apart": pair | {first: torch.zeros(4, 24)},
        "rankless": {first: torch.zeros(0, 24), up: torch.zeros(24, 0)},
        "huge": {first: torch.zeros(1025, 1), up: torch.zeros(1, 1025)},
        "dora": weights | {f"{module}.dora_scale": torch.zeros(24)},
        "text": weights | {"text_encoder.x.weight": torch.zeros(2)},
        "alphas": weights | {f"{module}.alpha": torch.ones(3)},
        "many": {f"blocks.{index}.a.lora_{part}.weight": torch.zeros(1, 1) for index in range(101) for part in "AB"},
        "far": {"diffusion_model.blocks.1000000000.self_attn.q." + end: torch.zeros(1, 1) for end in ("lora_A.weight", "lora_B.weight")},
        "under": {"diffusion_model.blocks.1_000_000.self_attn.q." + end: torch.zeros(1, 1) for end in ("lora_A.weight", "lora_B.weight")},
        "minus": {"diffusion_model.blocks.-100000000.self_attn.q." + end: torch.zeros(1, 1) for end in ("lora_A.weight", "lora_B.weight")},
    }
    for name, values in bad.items():
        save_file(values, path := tmp_path / f"{name}.safetensors")
        assert "LoRA" in sentence(path)
        assert sentence(path) == sentence(path, read_lora)


def test_files_of_other_kinds_are_refused(file: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "notes.safetensors").write_bytes(b"these are notes")
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:-50])
    (tmp_path / "long.safetensors").write_bytes((2**60).to_bytes(8, "little") + b"{}")
    torch.save(load_file(file), tmp_path / "pickle.safetensors")
    for name in ("notes", "cut", "long", "pickle"):
        assert "cannot be read as safetensors" in sentence(tmp_path / f"{name}.safetensors")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe", "nowhere.safetensors", "x" * 300):
        assert "There is no file" in sentence(tmp_path / name)
    monkeypatch.setattr(lora_files, "LARGEST_FILE", file.stat().st_size - 1)
    assert "choose a LoRA of a smaller rank" in sentence(file)


@pytest.mark.parametrize("alpha", [-1.0, 0.0, float("nan"), float("inf")])
def test_an_alpha_that_converting_would_stumble_over_is_refused(wan, tmp_path: Path, alpha: float) -> None:
    native = load_file(write_lora(wan, tmp_path / "native.safetensors", LoraConfig(r=3, target_modules=list(PLACES))))
    save_file(
        in_layout(native, "with alphas") | {"diffusion_model.blocks.0.ffn.0.alpha": torch.tensor(alpha)},
        file := tmp_path / "a.safetensors",
    )
    assert "holds no LoRA" in sentence(file, lambda path: read_lora(path, type(wan.pipeline)))


@pytest.mark.parametrize(
    "strange", ["diffusion_model.nowhere", "diffusion_model.blocks.x.self_attn.q", "lora_unet_somewhere", "plain.to_q"]
)
def test_names_that_converting_does_not_know_are_refused(wan, tmp_path: Path, strange: str) -> None:
    file = tmp_path / "strange.safetensors"
    save_file({f"{strange}.lora_down.weight": torch.zeros(1, 24), f"{strange}.lora_up.weight": torch.zeros(24, 1)}, file)
    check_lora(file)
    assert "holds no LoRA" in sentence(file, lambda path: read_lora(path, type(wan.pipeline)))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_numbers_that_are_not_finite_are_refused(file: Path, value: float) -> None:
    weights = load_file(file)
    first = next(iter(weights))
    save_file(weights | {first: torch.full_like(weights[first], value)}, file)
    assert "not finite" in sentence(file, read_lora)


@pytest.mark.parametrize(
    "header",
    [
        "[" * 100_000,
        "[1]",
        json.dumps({"transformer.lora_alpha": 10**400, "transformer.alpha_pattern": {"(a+)+$": 2, "": 3, "to_k": -1}}),
        json.dumps({"transformer.alpha_pattern": 7, "transformer.use_rslora": "yes", "transformer.target_modules": ".*"}),
    ],
)
def test_a_hostile_header_counts_for_nothing(file: Path, header: str) -> None:
    save_file(load_file(file), file, {HEADER: header})
    config, _ = read_lora(file)
    assert (config.r, config.lora_alpha, config.alpha_pattern, config.use_rslora) == (3, 3, {}, False)
    assert all(module.startswith("blocks.") for module in config.target_modules)


def test_one_family_does_not_take_the_others(wan, cogvideox, tmp_path: Path) -> None:
    for maker, taker in ((wan, cogvideox), (cogvideox, wan)):
        file = write_lora(maker, tmp_path / "theirs.safetensors")
        with pytest.raises(UserError, match=r"theirs\.safetensors was made for another model: choose"):
            lora(taker, *read_lora(file, type(taker.pipeline)), title=file.name).__enter__()


def test_checking_imports_no_torch(file: Path) -> None:
    code = f"import sys, pathlib; from pipelines.backbones.lora_files import check_lora; check_lora(pathlib.Path({str(file)!r}))"
    subprocess.run([sys.executable, "-c", f"{code}; assert not {{'torch', 'peft', 'diffusers'}} & set(sys.modules)"], check=True)
