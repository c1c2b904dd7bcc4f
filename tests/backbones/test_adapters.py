"""Adapters: without effect at first, nested, kept in files that diffusers reads, gone without a trace; hostile files are sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from tiny_loras import predict, write_lora

from pipelines.backbones.adapters import HEADER, fused, lora, lora_weights, read_lora, trainable
from pipelines.errors import UserError

CONFIG = LoraConfig(r=3, lora_alpha=6, target_modules=["to_k", "to_v", "to_out.0"])


@pytest.fixture(params=["wan", "cogvideox", "ltx"])
def backbone(request: pytest.FixtureRequest):
    """Each family that has adapters in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def file(backbone, tmp_path: Path) -> Path:
    """An adapter with an effect, written by us."""
    return write_lora(backbone, tmp_path / "rex.safetensors", CONFIG)


@pytest.fixture
def own(backbone, tmp_path: Path) -> tuple:
    """Another, which covers queries that the first does not."""
    config = LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_k"])
    return read_lora(write_lora(backbone, tmp_path / "own.safetensors", config, seed=1))


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


# --- several, and how strongly ---------------------------------------------------------------------------------------


def state(backbone) -> dict:
    """All that adapters may change: which modules there are, what they hold, what trains, what is switched on and how strongly."""
    transformer = backbone.transformer
    inside = {name: (id(module), getattr(module, "active_adapters", None)) for name, module in transformer.named_modules()}
    scales = {name: dict(module.scaling) for name, module in transformer.named_modules() if hasattr(module, "scaling")}
    weights = {name: (id(value), value.requires_grad, value.clone()) for name, value in transformer.named_parameters()}
    return {"modules": inside, "scales": scales, "weights": weights, "configs": list(getattr(transformer, "peft_config", {}))}


def assert_same(before: dict, after: dict) -> None:
    for part in ("modules", "scales", "configs"):
        assert before[part] == after[part]
    assert before["weights"].keys() == after["weights"].keys()
    for name, (identity, trains, value) in before["weights"].items():
        assert after["weights"][name][:2] == (identity, trains) and torch.equal(after["weights"][name][2], value)


def reach(backbone) -> dict[str, torch.Tensor]:
    """What the attention's linear layers make of each of their inputs: (in, out), whatever they are made of."""
    found = {}
    for block in backbone.blocks():
        for name in ("to_q", "to_k"):
            layer = getattr(block.attention, name)
            found[f"{block.index}.{name}"] = layer(torch.eye(layer.in_features)).detach()
    return found


@pytest.mark.parametrize("ending", ["end", "error"])
@pytest.mark.parametrize("new", [True, False])
def test_adapters_nest_and_each_leaves_what_it_found(backbone, file: Path, own, ending: str, new: bool) -> None:
    bare, untouched = state(backbone), predict(backbone)
    with lora(backbone, CONFIG) if new else lora(backbone, *read_lora(file), strength=0.5):
        alone, before = predict(backbone), state(backbone)
        trains, kept = trainable(backbone), lora_weights(backbone)
        assert bool(trains) == new
        try:
            with lora(backbone, *own, name="own"):
                assert not torch.allclose(predict(backbone), alone)
                assert [id(one) for one in trainable(backbone)] == [id(one) for one in trains]
                assert lora_weights(backbone).keys() == kept.keys()
                if ending == "error":
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert_same(before, state(backbone))
        assert torch.equal(predict(backbone), alone)
    assert_same(bare, state(backbone))
    assert torch.equal(predict(backbone), untouched)


def test_the_order_of_nesting_does_not_matter_and_effects_add_up(backbone, file: Path, own) -> None:
    base, subject = reach(backbone), read_lora(file)
    with lora(backbone, *subject):
        first = reach(backbone)
    with lora(backbone, *own, name="own"):
        second = reach(backbone)
    with lora(backbone, *subject), lora(backbone, *own, name="own"):
        both, picture = reach(backbone), predict(backbone)
    with lora(backbone, *own, name="own"), lora(backbone, *subject):
        assert torch.allclose(predict(backbone), picture, atol=1e-5)
    for name, value in base.items():
        assert torch.allclose(both[name] - value, (first[name] - value) + (second[name] - value), atol=1e-5)


def test_training_goes_on_within_an_adapter_that_stays_as_it_is(backbone, own) -> None:
    with lora(backbone, *own, name="own"):
        before = lora_weights(backbone, "own")
        with lora(backbone, CONFIG):
            assert {name.split(".")[-2] for name, one in backbone.transformer.named_parameters() if one.requires_grad} == {"subject"}
            text = backbone.encode_text(["a ball"])
            loss = backbone.denoise(backbone.initial_noise(1, 32, 32, 0), torch.tensor(500), text).square().mean()
            loss.backward()
            torch.optim.SGD(trainable(backbone), lr=0.1).step()
            trained = lora_weights(backbone)
        after = lora_weights(backbone, "own")
    assert any(value.any() for key, value in trained.items() if "lora_B" in key)
    assert before.keys() == after.keys() and all(torch.equal(value, after[key]) for key, value in before.items())


def test_fused_it_does_the_same_with_plain_layers_and_leaves_the_adapters_as_they_were(backbone, file: Path, own) -> None:
    """Also with an adapter within that was not there when the first was fused, and after an error."""
    bare, subject = state(backbone), read_lora(file)
    with lora(backbone, *own, name="own"), lora(backbone, *subject, strength=0.5):
        expected, before = predict(backbone), state(backbone)
        with pytest.raises(ZeroDivisionError), fused(backbone):
            assert not any(hasattr(module, "lora_A") for module in backbone.transformer.modules())
            assert torch.allclose(predict(backbone), expected, atol=1e-5)
            raise ZeroDivisionError
        assert_same(before, state(backbone))
    with lora(backbone, *own, name="own"), fused(backbone), lora(backbone, *subject, strength=0.5), fused(backbone):
        assert torch.allclose(predict(backbone), expected, atol=1e-5)
    assert_same(bare, state(backbone))


def test_what_moves_between_memories_or_is_stored_in_bytes_is_not_fused(backbone, file: Path) -> None:
    transformer = backbone.transformer
    transformer.enable_group_offload(onload_device=torch.device("cpu"), offload_type="leaf_level")
    with lora(backbone, *read_lora(file)):
        before = state(backbone)
        with fused(backbone):
            assert_same(before, state(backbone))


def test_strength_0_is_the_untouched_model(backbone, file: Path) -> None:
    bare, before = state(backbone), predict(backbone)
    with lora(backbone, *read_lora(file), strength=0):
        assert torch.equal(predict(backbone), before)
        assert_same(bare, state(backbone))


def test_strength_scales_the_change_of_the_weights(backbone, file: Path) -> None:
    base, subject = reach(backbone), read_lora(file)
    with lora(backbone, *subject):
        whole = {name: value - base[name] for name, value in reach(backbone).items()}
    assert any(change.abs().max() > 0.1 for change in whole.values())
    for strength in (0.25, 1.5, 2):
        with lora(backbone, *subject, strength=strength):
            assert all(torch.allclose(value - base[name], strength * whole[name], atol=1e-5) for name, value in reach(backbone).items())


def test_one_that_does_not_fit_leaves_the_other_alone(backbone, file: Path, own) -> None:
    config, weights = own
    wide = {key: torch.zeros(value.shape[0] * 2, value.shape[1] * 2) for key, value in weights.items()}
    inside = {key.replace("to_k.", "to_k.base_layer."): value for key, value in weights.items()}
    with lora(backbone, *read_lora(file)):
        before = state(backbone)
        for hostile in (wide, inside):
            with pytest.raises(UserError, match=r"^own\.safetensors was made for another model"):
                lora(backbone, config, hostile, name="own", title="own.safetensors").__enter__()
        with pytest.raises(RuntimeError, match="subject already"):
            lora(backbone, *own).__enter__()
        assert_same(before, state(backbone))


def test_stored_in_bytes_and_offloaded_it_works_too(backbone, file: Path, own) -> None:
    config, weights = own
    transformer, (path, *_) = backbone.transformer, config.target_modules
    transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    transformer.enable_group_offload(onload_device=torch.device("cpu"), offload_type="leaf_level")
    before = predict(backbone)
    with lora(backbone, *read_lora(file)), lora(backbone, *own, name="own"):
        assert not torch.allclose(predict(backbone), before)
        down = transformer.get_submodule(path).lora_A["own"]
        assert torch.equal(down.weight, weights[f"{path}.lora_A.weight"]), "in the precision of the computation"
        assert down._diffusers_hook.get_hook("group_offloading"), "moved to the card together with the layer"
    assert torch.equal(predict(backbone), before)
