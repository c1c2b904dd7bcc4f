"""Checking a model folder: every kind of damage is one sentence that names the file."""

import json
import struct

import pytest
from folders_for_tests import write_model

from pipelines.errors import NotAvailable, UserError
from pipelines.models.folders import check_folder, folder_bytes, parameters, read_header

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path):
    return write_model(tmp_path / "model")


def test_a_sound_folder_passes(folder):
    check_folder(folder)
    assert parameters(folder) == 1006 and parameters(folder, "vae") == 6
    assert folder_bytes(folder) == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("keep", [0, 4, 8, 40, -1])
def test_truncated_weights_are_named(folder, keep):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"diffusion_pytorch_model\.safetensors is damaged or incomplete") as caught:
        check_folder(folder)
    assert "\n" not in str(caught.value)


def header(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"this is a text file, not weights",
        struct.pack("<Q", 2**63) + b"{}",
        header("[" * 100_000),
        header("[]"),
        header('{"w": {"dtype": "F32"}}'),
        header('{"w": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 0]}}'),
        header('{"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, "x"]}}'),
        header('{"w": 3}'),
    ],
)
def test_files_that_are_no_safetensors(tmp_path, data):
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"w\.safetensors is damaged or incomplete"):
        read_header(path)


def test_trailing_bytes_are_refused(folder):
    with (folder / WEIGHTS).open("ab") as file:
        file.write(b"more")
    with pytest.raises(UserError, match="damaged"):
        check_folder(folder)


def test_missing_index(folder):
    (folder / "model_index.json").unlink()
    with pytest.raises(NotAvailable, match=r"no model_index\.json"):
        check_folder(folder)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "\xff"])
def test_an_unreadable_index(folder, text):
    (folder / "model_index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"model_index\.json"):
        check_folder(folder)


def test_a_missing_component_and_missing_weights(folder):
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UserError, match="vae is incomplete, because its weights are missing"):
        check_folder(folder)
    (folder / "vae" / "config.json").unlink()
    (folder / "vae").rmdir()
    with pytest.raises(UserError, match="its vae folder is missing"):
        check_folder(folder)


def test_a_missing_shard(folder):
    index = {"weight_map": {"a": "diffusion_pytorch_model.safetensors", "b": "diffusion_pytorch_model-00002-of-00002.safetensors"}}
    (folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"00002-of-00002\.safetensors is missing"):
        check_folder(folder)


def test_pickles_are_not_loaded(folder):
    (folder / WEIGHTS).rename(folder / "transformer" / "diffusion_pytorch_model.bin")
    with pytest.raises(UserError, match="pickles, which can run code"):
        check_folder(folder)
