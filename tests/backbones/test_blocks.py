"""The blocks of the published models, built on the meta device from their configurations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel, LTXVideoTransformer3DModel, WanTransformer3DModel
from tiny_models import tiny_cogvideox, tiny_ltx, tiny_wan

from pipelines.backbones.cogvideox import CogVideoXBackbone
from pipelines.backbones.ltx import LTXBackbone
from pipelines.backbones.wan import WanBackbone
from pipelines.models.registry import entry

CONFIGS = Path(__file__).parent / "configs"
MODELS = {  # depth, heads, width, latents of the default clip -> tokens
    "wan2.1-1.3b": (30, 12, 1536, (1, 16, 21, 60, 104), 32_760),
    "wan2.1-14b": (40, 40, 5120, (1, 16, 21, 60, 104), 32_760),
    "cogvideox-2b": (30, 30, 1920, (1, 16, 13, 60, 90), 17_550),
    "cogvideox-5b": (42, 48, 3072, (1, 16, 13, 60, 90), 17_550),
    "ltx-video": (28, 32, 2048, (1, 128, 21, 15, 22), 6_930),
}
FAMILIES = {
    "WanTransformer3DModel": (WanTransformer3DModel, tiny_wan, WanBackbone),
    "CogVideoXTransformer3DModel": (CogVideoXTransformer3DModel, tiny_cogvideox, CogVideoXBackbone),
    "LTXVideoTransformer3DModel": (LTXVideoTransformer3DModel, tiny_ltx, LTXBackbone),
}


def published(name: str):
    """A backbone with the transformer of the published model, without weights."""
    config = json.loads((CONFIGS / f"{name}.json").read_text())
    transformer, tiny, kind = FAMILIES[config["_class_name"]]
    pipeline = tiny()
    with torch.device("meta"):
        pipeline.transformer = transformer.from_config(config)
    return kind(pipeline)


@pytest.mark.parametrize("name", MODELS)
def test_blocks_and_tokens_of_published_models(name):
    depth, heads, width, shape, tokens = MODELS[name]
    backbone = published(name)
    assert sum(parameter.numel() for parameter in backbone.transformer.parameters()) == entry(name).parameters
    modules = dict(backbone.transformer.named_modules())
    blocks = backbone.blocks()
    assert [block.index for block in blocks] == list(range(depth))
    for block in blocks:
        for layer in filter(None, (block, block.cross)):
            assert modules[layer.name] is layer.attention
            assert layer.query is layer.attention.norm_q and layer.key is layer.attention.norm_k
            assert layer.value is layer.attention.to_v and layer.output is layer.attention.to_out[0]
            assert layer.heads == heads and layer.width("query") == layer.width("output") == width
    joint = backbone.family == "cogvideox"
    assert {block.kind for block in blocks} == {"joint" if joint else "self"}
    layout = backbone.tokens(torch.empty(shape, device="meta"))
    assert layout.video == tokens and layout.heads == heads
    assert layout.total == tokens + (226 if joint else 0)


def test_lengths_of_what_is_recorded(backbone):
    latents = backbone.initial_noise(9, 32, 48, 0)
    layout = backbone.tokens(latents)
    grid = {"ltx": (3, 8, 12), "animatediff": (9, 8, 12)}.get(backbone.family, (3, 4, 6))
    assert layout.grid == grid and layout.context == 16
    block = backbone.blocks()[0]
    assert block.length("query", layout) == layout.total == layout.video + layout.text
    if block.cross:
        lengths = [block.cross.length(what, layout) for what in ("query", "key", "value", "output")]
        assert lengths == [layout.video, 16, 16, layout.video]
