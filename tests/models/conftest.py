"""A hub on 127.0.0.1 and a registry entry that points at it."""

from dataclasses import replace

import pytest
from folders_for_tests import model_files
from tiny_hub import COMMIT, TinyHub

from pipelines.models import registry

LARGE = 1_500_000  # weights of the transformer: 6 MB, so that a connection can be cut in the middle


@pytest.fixture
def hub(monkeypatch):
    """A well-behaved hub; it also offers files that must not be downloaded."""
    files = model_files(LARGE) | {
        "transformer/old.bin": b"pickle",
        "transformer/diffusion_pytorch_model.fp16.safetensors": b"variant",
        "single_file.safetensors": b"x" * 2_000_000,
        "LICENSE.txt": b"free",
        "../escape.json": b"{}",
        "extra/notes.json": b"{}",
    }
    with TinyHub("someone/tiny", files) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def hub_model(monkeypatch):
    """A registry in which `tiny` lives on the hub."""
    model = replace(registry.WAN_SMALL, name="tiny", title="Tiny", repo="someone/tiny", revision=COMMIT, bytes=6_000_000)
    monkeypatch.setattr(registry, "ENTRIES", (*registry.ENTRIES, model))
    return model
