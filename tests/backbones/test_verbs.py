"""What the backbones' verbs promise beyond parity: shapes, round trips, remembered text, previews, damaged folders."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny_models import save, tiny_wan

from pipelines.backbones import latent_rgb, loader
from pipelines.backbones.wan import WanBackbone
from pipelines.errors import NotAvailable, UserError


@pytest.fixture
def frames() -> np.ndarray:
    """(9, 32, 48, 3) uint8: a colour gradient that moves."""
    t, y, x = np.meshgrid(np.arange(9), np.arange(32), np.arange(48), indexing="ij")
    return np.stack([x * 5 + t, y * 7, 255 - x * 4 - t * 3], axis=-1).astype(np.uint8)


def test_verbs_speak_one_layout(backbone, frames):
    latents = backbone.encode_video(frames)
    count = 9 if backbone.family == "animatediff" else 3  # its latents are of single frames
    assert latents.shape == backbone.initial_noise(9, 32, 48, 0).shape == (1, 4, count, 8, 12)
    text = backbone.encode_text(["a red ball", "a blue cube"])
    assert text.shape == (2, 16, 32)
    with torch.no_grad():
        prediction = backbone.denoise(torch.cat([latents, latents]), torch.tensor(500), text)
    assert prediction.shape == (2, 4, count, 8, 12)
    assert backbone.decode_video(latents).shape == frames.shape
    assert backbone.preview(latents).shape == (count, 8, 12, 3)


def test_encoded_latents_are_what_the_decoder_expects(backbone, frames):
    """Normalised and back again: decoding an encoded clip equals the VAE's own reconstruction."""
    video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None] / 127.5 - 1
    images = backbone.family == "animatediff"
    video = video[0].transpose(0, 1) if images else video
    with torch.no_grad():
        own = backbone.vae.decode(backbone.vae.encode(video).latent_dist.mode()).sample
    own = own.transpose(0, 1) if images else own[0]
    own = ((own / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 3, 0).numpy()
    assert np.abs(backbone.decode_video(backbone.encode_video(frames)) - own).max() <= 1


def test_single_frames_work(backbone, frames):
    latents = backbone.encode_video(frames[:1])
    assert latents.shape[2] == 1 == backbone.initial_noise(1, 32, 48, 0).shape[2]
    assert backbone.decode_video(latents).shape == (1, 32, 48, 3)
    assert backbone.preview(latents).shape == (1, 8, 12, 3)


def test_the_clean_estimate_finds_the_clip_behind_the_noise(backbone, frames):
    """With the true prediction, x0 comes back exactly at every level, and `clean` leaves the scheduler alone."""
    clip, noise = backbone.encode_video(frames), backbone.initial_noise(9, 32, 48, 3)
    schedule = backbone.schedule(6, clip)
    for index, timestep in enumerate(schedule.timesteps):
        if backbone.family in ("wan", "ltx"):
            sigma = float(schedule.scheduler.sigmas[index])
            noisy, truth = (1 - sigma) * clip + sigma * noise, noise - clip
        else:
            alpha = schedule.scheduler.alphas_cumprod[int(timestep)]
            noisy = alpha.sqrt() * clip + (1 - alpha).sqrt() * noise
            truth = noise if backbone.family == "animatediff" else alpha.sqrt() * noise - (1 - alpha).sqrt() * clip
        for _ in range(2):
            assert (schedule.clean(truth, index, noisy) - clip).abs().max() < 1e-4


def test_prompts_are_encoded_once(backbone):
    calls = []
    handle = backbone.pipeline.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    first = backbone.encode_text(["a red ball", ""])
    assert torch.equal(backbone.encode_text(["a red ball", ""]), first) and len(calls) == 2
    backbone.forget_text()
    assert torch.equal(backbone.encode_text(["a red ball"]), first[:1]) and len(calls) == 3
    handle.remove()


def test_unknown_words_and_long_prompts_are_read(backbone):
    assert backbone.count_tokens("ball " * 50) == 51
    assert backbone.encode_text(["żółw 🐢 ball " * 50]).isfinite().all()


def test_weights_in_half_precision_run_in_float32_on_the_processor(tmp_path):
    folder = save(tiny_wan().to(torch.bfloat16), tmp_path / "half")
    backbone = WanBackbone.load(folder)
    parts = (backbone.transformer, backbone.vae, backbone.pipeline.text_encoder)
    assert {parameter.dtype for part in parts for parameter in part.parameters()} == {torch.float32}


def test_the_vae_scale_follows_its_levels_whatever_the_config_says():
    pipeline = tiny_wan()
    pipeline.vae.register_to_config(scale_factor_spatial=8)
    pipeline.vae_scale_factor_spatial = 8
    assert WanBackbone(pipeline).initial_noise(9, 32, 48, 0).shape == (1, 4, 3, 8, 12)
    assert pipeline.vae.spatial_compression_ratio == pipeline.vae.config.scale_factor_spatial == 4


def test_colours_are_learnt_once_and_kept(tiny_wan_folder, tmp_path):
    truth = latent_rgb.LatentRGB(np.random.default_rng(0).normal(size=(4, 3)) * 0.1, np.array([0.5, 0.4, 0.6]))
    latents = torch.randn(1, 4, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    small = truth(latents[0].numpy())
    frames = small[[0, 1, 1, 1, 1, 2, 2, 2, 2]].repeat(4, axis=1).repeat(4, axis=2)
    load = loader("wan", tmp_path)
    backbone = load(tiny_wan_folder, "cpu", "cpu")
    assert not backbone.has_colours and backbone.preview(latents).shape == small.shape
    backbone.learn_colours(latents, frames)
    again = load(tiny_wan_folder, "cpu", "cpu")
    assert again.has_colours
    assert np.abs(again.preview(latents).astype(int) - small).max() <= 2


def test_false_colours_keep_their_signs():
    latents = np.random.default_rng(1).normal(size=(4, 3, 8, 12)).astype(np.float32)
    assert np.array_equal(latent_rgb.false_colour(latents), latent_rgb.false_colour(latents * 1.5))


def test_a_model_with_its_own_colours_uses_them(tiny_wan_folder, tmp_path):
    folder = shutil.copytree(tiny_wan_folder, tmp_path / "coloured")
    weight = np.zeros((4, 3)).tolist()
    (folder / latent_rgb.FILE).write_text(json.dumps({"weight": weight, "bias": [1.0, 0.0, 0.0]}))
    preview = WanBackbone.load(folder).preview(torch.zeros(1, 4, 3, 8, 12))
    assert (preview == [255, 0, 0]).all()
    (folder / latent_rgb.FILE).write_text('{"weight": [[1, 2]], "bias": [1]}')
    with pytest.raises(UserError, match=latent_rgb.FILE):
        WanBackbone.load(folder)


def test_damaged_folders_are_named_in_one_sentence(tiny_wan_folder, tmp_path):
    with pytest.raises(NotAvailable, match="nowhere"):
        WanBackbone.load(tmp_path / "nowhere")
    folder = shutil.copytree(tiny_wan_folder, tmp_path / "cut")
    weights = next((folder / "transformer").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match=weights.name) as caught:
        WanBackbone.load(folder)
    assert "\n" not in str(caught.value)


def test_models_of_later_versions_are_refused():
    pipeline = tiny_wan()
    pipeline.register_to_config(expand_timesteps=True)
    with pytest.raises(NotAvailable, match=r"Wan2\.2"):
        WanBackbone(pipeline)


def test_opening_the_store_imports_no_torch():
    code = "import sys; from pipelines.backbones import open_store; open_store(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
