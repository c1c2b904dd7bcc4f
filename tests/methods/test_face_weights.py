"""Files of face adapters: the released layout and two repackings mean the same, and whatever is wrong is said in one sentence."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_faces import adapter_for, pair, released_resampler
from torch import Tensor

from pipelines.errors import UserError
from pipelines.methods.face_identity.card import Card
from pipelines.methods.face_identity.headers import look
from pipelines.methods.face_identity.modules import FULL, LITE, FaceAdapter
from pipelines.methods.face_identity.weights import check_fits, read_adapter, save_adapter

RESAMPLER, IDENTITY, REFERENCE = "resampler.safetensors", "ip_layers.safetensors", "ref_layers.safetensors"


def same(one: FaceAdapter, other: FaceAdapter) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours) and one.sizes == other.sizes


def saved(wan, folder: Path, arm: str = "full", **parts: bool) -> Path:
    save_adapter(adapter_for(wan, arm, **parts), folder)
    return folder


def sentence(path: Path, backbone=None) -> str:
    """The one sentence about files that are refused."""
    with pytest.raises(UserError) as caught:
        read_adapter(path, backbone)
    text = str(caught.value)
    assert text.endswith(".") and ": " in text and "\n" not in text
    return text


def change(file: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    values = load_file(file)
    edit(values)
    save_file(values, file)


# --- what is accepted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arm, parts",
    [("full", {}), ("full", {"reference": False}), ("full", {"identity": False}), ("lite", {}), ("lite", {"reference": False})],
)
def test_what_is_saved_is_read(wan, tmp_path: Path, arm: str, parts: dict[str, bool]) -> None:
    adapter = adapter_for(wan, arm, **parts)
    save_adapter(adapter, tmp_path / "new" / "face")
    read = read_adapter(tmp_path / "new" / "face", wan)
    assert same(read, adapter) and read.card == adapter.card == Card(recogniser="tiny", crop=32, arm=arm, base="tiny-wan")
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in read.parameters())
    files = {RESAMPLER: read.resampler, IDENTITY: len(read.ip_layers), REFERENCE: len(read.ref_layers)}
    expected = {name for name, there in files.items() if there} | {"adapter.json"}
    assert {path.name for path in (tmp_path / "new" / "face").iterdir()} == expected


def test_names_in_the_files_are_the_released_ones(wan, tmp_path: Path) -> None:
    folder = saved(wan, tmp_path)
    assert {name for name in load_file(folder / IDENTITY) if name.startswith("2.")} == {*pair(2, "ip", (1, 1)), "2.registers"}
    assert {name for name in load_file(folder / REFERENCE) if name.startswith("2.")} == {*pair(2, "ref", (1, 1))}
    two_layers = {name for name in released_resampler(1) if not name.startswith(("layers.2", "layers.3"))}
    assert set(load_file(folder / RESAMPLER)) == two_layers


def test_without_a_card_it_is_like_the_released_ones(wan, tmp_path: Path) -> None:
    folder = saved(wan, tmp_path, "lite")
    (folder / "adapter.json").unlink()
    assert read_adapter(folder).card == Card(recogniser="facexlib-ir-se50", crop=256, arm="lite", base="wan2.1-14b")
    (folder / "adapter.json").write_text('{"crop": 64, "licence": "ours"}')
    assert read_adapter(folder).card == Card(recogniser="facexlib-ir-se50", crop=64, arm="lite", base="wan2.1-14b")


def test_half_precision_is_kept_but_for_the_resampler(wan, tmp_path: Path) -> None:
    adapter = adapter_for(wan).to(torch.bfloat16)
    save_adapter(adapter, tmp_path)
    read = read_adapter(tmp_path, wan)
    assert all(value.dtype == torch.bfloat16 for layers in (read.ip_layers, read.ref_layers) for value in layers.parameters())
    assert all(value.dtype == torch.float32 for value in read.resampler.parameters())
    assert torch.equal(read.resampler.latents, adapter.resampler.latents.float())


LAYOUTS = {
    "adapters inside": ("blocks.{}.cross_attn.ip_adapter.", "blocks.{}.self_attn.ref_adapter."),
    "flat": ("blocks.{}.cross_attn.", "blocks.{}.self_attn."),
}


def repacked(adapter: FaceAdapter, layout: str, prefix: str | None) -> dict[str, Tensor]:
    """All tensors of an adapter as one file; prefix: of the resampler, None without it."""
    identity, reference = LAYOUTS[layout]
    names = {}
    for module, template, stride in ((adapter.ip_layers, identity, adapter.sizes.stride), (adapter.ref_layers, reference, 1)):
        for name, value in module.state_dict().items():
            number, _, end = name.partition(".")
            names[template.format(int(number) * stride) + end] = value
    return names if prefix is None else names | {prefix + name: value for name, value in adapter.resampler.state_dict().items()}


@pytest.mark.parametrize("prefix", [None, "", "resampler."])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("arm", ["full", "lite"])
def test_repacked_files_are_read(wan, tmp_path: Path, arm: str, layout: str, prefix: str | None) -> None:
    adapter = adapter_for(wan, arm)
    save_file(repacked(adapter, layout, prefix), tmp_path / "lynx.safetensors")
    if prefix is None:
        save_file(adapter.resampler.state_dict(), tmp_path / RESAMPLER)
    assert same(read_adapter(tmp_path / "lynx.safetensors", wan), adapter)
    assert same(read_adapter(tmp_path, wan), adapter)


def test_a_folder_of_repacked_parts_is_read(wan, tmp_path: Path) -> None:
    adapter = adapter_for(wan)
    names = repacked(adapter, "adapters inside", None)
    for part, mark in (("ip", "ip_adapter"), ("ref", "ref_adapter")):
        save_file({name: value for name, value in names.items() if mark in name}, tmp_path / f"lynx_{part}.safetensors")
    save_file(adapter.resampler.state_dict(), tmp_path / "lynx_resampler.safetensors")
    assert same(read_adapter(tmp_path, wan), adapter)


def test_a_file_without_identity_needs_no_resampler(wan, tmp_path: Path) -> None:
    adapter = adapter_for(wan)
    save_file(adapter.resampler.state_dict(), tmp_path / RESAMPLER)
    names = repacked(adapter, "flat", None)
    save_file({name: value for name, value in names.items() if "self_attn" in name}, tmp_path / "lynx.safetensors")
    read = read_adapter(tmp_path / "lynx.safetensors", wan)
    assert read.resampler is None and len(read.ref_layers) == 3 and not read.ip_layers


def test_one_released_file_stands_for_its_folder(wan, tmp_path: Path) -> None:
    folder = saved(wan, tmp_path)
    assert same(read_adapter(folder / REFERENCE), read_adapter(folder))


# --- full size, by headers alone -------------------------------------------------------------------------------------


def hollow(file: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A file of the right length with a right header and nothing in it, which takes no room on the disk."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with file.open("wb") as opened:
        opened.write(struct.pack("<Q", len(text)) + text)
        opened.truncate(8 + len(text) + end)


@pytest.fixture
def released(tmp_path: Path) -> dict[str, Path]:
    """Folders like those of the published weights."""
    folders = {arm: tmp_path / f"lynx_{arm}" for arm in ("full", "lite")}
    for arm, folder in folders.items():
        folder.mkdir()
        hollow(folder / RESAMPLER, released_resampler(5120 if arm == "full" else 2048))
    registers = {f"{block}.registers": (1, 16, 5120) for block in range(40)}
    blocks = [pair(block, "ip", (5120, 5120)) for block in range(40)]
    hollow(folders["full"] / IDENTITY, registers | {name: shape for block in blocks for name, shape in block.items()})
    blocks = [pair(block, "ref", (5120, 5120)) for block in range(40)]
    hollow(folders["full"] / REFERENCE, {name: shape for block in blocks for name, shape in block.items()})
    blocks = [pair(entry, "ip", (5120, 2048), bias=False) for entry in range(20)]
    hollow(folders["lite"] / IDENTITY, {name: shape for block in blocks for name, shape in block.items()})
    return folders


def test_the_released_files_are_recognised(released: dict[str, Path]) -> None:
    assert look(released["full"]).sizes == FULL and look(released["lite"]).sizes == LITE
    assert FULL.fits(5120, 40) and LITE.fits(5120, 40) and not FULL.fits(1536, 30) and not LITE.fits(1536, 30)


def test_what_is_too_wide_is_refused_before_it_is_read(wan, released: dict[str, Path]) -> None:
    text = "for a model of 40 blocks with 5120 channels and this one has 3 with 24"
    assert text in sentence(released["full"], wan) and text in sentence(released["lite"], wan)


def test_a_resampler_of_the_other_arm_is_refused(released: dict[str, Path]) -> None:
    for one, other, given, taken in (("full", "lite", 2048, 5120), ("lite", "full", 5120, 2048)):
        hollow(released[one] / RESAMPLER, released_resampler(given))
        text = sentence(released[one])
        assert f"gives tokens of {given} channels and the layers of the {one} arm take {taken}" in text
        assert f"one of the {other} arm" in text


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file, name", [
    (RESAMPLER, "latents"), (RESAMPLER, "layers.1.0.to_kv.weight"), (RESAMPLER, "proj_out.bias"), (IDENTITY, "1.to_k_ip.weight"),
    (IDENTITY, "0.to_v_ip.bias"), (IDENTITY, "2.registers"), (REFERENCE, "2.to_v_ref.weight"), (REFERENCE, "0.to_k_ref.bias"),
])  # fmt: skip
def test_what_is_missing_is_named(wan, tmp_path: Path, file: str, name: str) -> None:
    folder = saved(wan, tmp_path)
    change(folder / file, lambda values: values.pop(name))
    assert f"{file} lacks {name}:" in sentence(folder)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_repacked_file_lacks_has_its_name_there(wan, tmp_path: Path, layout: str) -> None:
    for arm, block in (("full", 1), ("lite", 2)):
        names, lost = repacked(adapter_for(wan, arm), layout, ""), LAYOUTS[layout][0].format(block) + "to_k_ip.weight"
        del names[lost]
        if arm == "lite":
            names.pop(LAYOUTS[layout][0].format(block) + "to_v_ip.weight")
            names = {name.replace(".2.cross", ".4.cross"): value for name, value in names.items()}
            names |= {lost.replace(".2.", ".4."): torch.zeros(24, 20)}
        save_file(names, tmp_path / "lynx.safetensors")
        assert f"lynx.safetensors lacks {lost}:" in sentence(tmp_path / "lynx.safetensors")


def test_a_last_block_that_is_missing_does_not_fit(wan, tmp_path: Path) -> None:
    folder = saved(wan, tmp_path, reference=False)
    change(folder / IDENTITY, lambda values: [values.pop(name) for name in list(values) if name.startswith("2.")])
    assert "of 2 blocks with 24 channels and this one has 3 with 24" in sentence(folder, wan)


@pytest.mark.parametrize("file, name", [
    (RESAMPLER, "norm_in.weight"), (RESAMPLER, "layers.0.0.to_k.weight"), (RESAMPLER, "layers.0.1.1.bias"), (IDENTITY, "0.to_q_ip.weight"),
    (IDENTITY, "01.to_k_ip.weight"), (IDENTITY, "1000.to_k_ip.weight"), (REFERENCE, "0.registers.weight"),
    (REFERENCE, "blocks.0.self_attn.to_k_ref.weight"),
])  # fmt: skip
def test_what_does_not_belong_is_named(wan, tmp_path: Path, file: str, name: str) -> None:
    folder = saved(wan, tmp_path)
    change(folder / file, lambda values: values.update({name: torch.zeros(24)}))
    assert f"{file} holds {name}, which" in sentence(folder)


def test_odd_blocks_have_no_lite_entry(wan, tmp_path: Path) -> None:
    names = repacked(adapter_for(wan, "lite"), "flat", "")
    save_file(names | {"blocks.1.cross_attn.to_k_ip.weight": torch.zeros(24, 20)}, tmp_path / "lynx.safetensors")
    assert "holds blocks.1.cross_attn.to_k_ip.weight, which" in sentence(tmp_path)


def test_lite_layers_have_no_biases(wan, tmp_path: Path) -> None:
    folder = saved(wan, tmp_path, "lite")
    change(folder / IDENTITY, lambda values: values.update({"1.to_k_ip.bias": torch.zeros(24)}))
    assert f"{IDENTITY} holds 1.to_k_ip.bias, which" in sentence(folder)


def test_full_layers_have_registers(wan, tmp_path: Path) -> None:
    folder = saved(wan, tmp_path)
    change(folder / IDENTITY, lambda values: [values.pop(f"{block}.registers") for block in range(3)])
    assert f"{IDENTITY} lacks 0.registers:" in sentence(folder)


@pytest.mark.parametrize("file, name, shape, belongs", [
    (RESAMPLER, "layers.0.0.to_q.weight", (64, 63), (64, 64)), (RESAMPLER, "proj_out.weight", (23, 64), (24, 64)),
    (RESAMPLER, "layers.1.1.3.weight", (64, 64), (64, 256)), (IDENTITY, "0.to_k_ip.weight", (24, 20), (24, 24)),
    (IDENTITY, "2.registers", (1, 3, 24), (1, 2, 24)), (IDENTITY, "0.to_v_ip.bias", (24, 1), (24,)),
    (REFERENCE, "1.to_k_ref.weight", (20, 24), (24, 24)), (REFERENCE, "1.to_k_ref.bias", (), (24,)),
])  # fmt: skip
def test_what_has_another_shape_is_named(wan, tmp_path: Path, file: str, name: str, shape: tuple, belongs: tuple) -> None:
    folder = saved(wan, tmp_path)
    change(folder / file, lambda values: values.update({name: torch.zeros(shape)}))
    assert f"{file} holds {name} in the shape {shape} where {belongs} belongs:" in sentence(folder)


def test_damaged_files(wan, tmp_path: Path) -> None:
    for number, damage in enumerate((lambda data: data[:-7], lambda data: data[:100], lambda data: b"", lambda data: b"\x80\x02" + data)):
        folder = saved(wan, tmp_path / str(number))
        file = folder / REFERENCE
        file.write_bytes(damage(file.read_bytes()))
        assert f"{REFERENCE} is damaged or incomplete:" in sentence(folder)


def test_a_header_that_overlaps_itself(wan, tmp_path: Path) -> None:
    folder = saved(wan, tmp_path)
    data = (folder / REFERENCE).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    names = [name for name in header if name.endswith("weight")]
    header[names[0]]["data_offsets"] = header[names[1]]["data_offsets"]
    text = json.dumps(header).encode()
    (folder / REFERENCE).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    assert f"{REFERENCE} cannot be read as safetensors:" in sentence(folder)


def test_numbers_that_are_none(wan, tmp_path: Path) -> None:
    folder = saved(wan, tmp_path)
    change(folder / IDENTITY, lambda values: values["1.to_v_ip.weight"][3].fill_(torch.nan))
    assert f"{IDENTITY} holds numbers in 1.to_v_ip.weight that are not finite:" in sentence(folder)


def test_other_types_of_numbers(wan, tmp_path: Path) -> None:
    folder = saved(wan, tmp_path)
    change(folder / IDENTITY, lambda values: values.update({"1.to_v_ip.bias": torch.zeros(24).to(torch.float8_e4m3fn)}))
    assert f"{IDENTITY} holds 1.to_v_ip.bias as F8_E4M3:" in sentence(folder)


def test_parts_that_need_each_other(wan, tmp_path: Path) -> None:
    folder = saved(wan, tmp_path / "a")
    (folder / RESAMPLER).unlink()
    assert "a has layers for an identity and no resampler:" in sentence(folder)
    folder = saved(wan, tmp_path / "b")
    (folder / IDENTITY).unlink()
    assert "b has a resampler and no layers that use it:" in sentence(folder)


def test_places_without_an_adapter(wan, tmp_path: Path) -> None:
    assert "There is no adapter called gone:" in sentence(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    assert "no safetensors files in empty:" in sentence(tmp_path / "empty")
    save_file({}, tmp_path / "nothing.safetensors")
    assert "nothing.safetensors holds no weights:" in sentence(tmp_path / "nothing.safetensors")
    (tmp_path / "weights.pth").write_bytes(b"\x80\x02}q\x00.")
    assert "weights.pth is damaged or incomplete:" in sentence(tmp_path / "weights.pth")


@pytest.mark.parametrize("text, words", [
    ('{"arm": "lite"}', "adapter.json speaks of the lite arm and the weights beside it are of the full one:"),
    ('{"crop": 70}', "adapter.json has a crop that cannot be (input should be a multiple of 16):"),
    ('{"recogniser": 5}', "adapter.json has a recogniser that cannot be"), ("{", "adapter.json cannot be read as JSON:"),
    ("[]", "adapter.json holds no settings:"),
])  # fmt: skip
def test_cards_that_are_wrong(wan, tmp_path: Path, text: str, words: str) -> None:
    folder = saved(wan, tmp_path)
    (folder / "adapter.json").write_text(text)
    assert words in sentence(folder)


def test_models_of_other_families_wear_no_face(wan, cogvideox, tmp_path: Path) -> None:
    assert "Wan family only:" in sentence(saved(wan, tmp_path), cogvideox)
    check_fits(adapter_for(wan, "lite").sizes, wan)
