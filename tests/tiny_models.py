"""Tiny untrained models of all families in the real classes, so that tests run the real code in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    UNetMotionModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

WORDS = ["a", "red", "blue", "green", "ball", "cube", "star", "rolls", "spins", "over", "the", "grass", "snow", "sea"]
TEXT = 16  # text tokens
DIM = 32


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Words of a toy world and letters, in T5's conventions."""
    space = "\u2581"
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((space + word, -3.0) for word in WORDS), (space, -8.0)]
    pieces += [(letter, -9.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    core = Tokenizer(models.Unigram(pieces, unk_id=2))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(space, prepend_scheme="always")]
    )
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=TEXT, padding_side="right", **special)


def tiny_wan(layers: int = 3) -> WanPipeline:
    """WanPipeline: space factor 4, time factor 4, 2 heads of 12 channels, UniPC flow with shift 3."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    vae = AutoencoderKLWan(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 2],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        latents_mean=[0.1, -0.2, 0.0, 0.3],
        latents_std=[1.5, 0.8, 1.1, 2.0],
        scale_factor_spatial=4,
    )
    transformer = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=DIM,
        freq_dim=16,
        ffn_dim=48,
        num_layers=layers,
    )
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    return WanPipeline(tokenizer, _encoder(UMT5EncoderModel, UMT5Config, tokenizer), _alive(vae), scheduler, _alive(transformer))


def tiny_cogvideox(layers: int = 3, rotary: bool = True) -> CogVideoXPipeline:
    """CogVideoXPipeline: space factor 4, time factor 4, 2 heads of 16 channels, v-prediction, zero terminal SNR."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    vae = AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 16),
        down_block_types=("CogVideoXDownBlock3D",) * 3,
        up_block_types=("CogVideoXUpBlock3D",) * 3,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
        temporal_compression_ratio=4,
    )
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=DIM,
        num_layers=layers,
        sample_width=12,
        sample_height=8,
        sample_frames=9,
        max_text_seq_length=TEXT,
        use_rotary_positional_embeddings=rotary,
    )
    scheduler = CogVideoXDDIMScheduler(
        prediction_type="v_prediction", clip_sample=False, rescale_betas_zero_snr=True, timestep_spacing="trailing", snr_shift_scale=1.0
    )
    return CogVideoXPipeline(tokenizer, _encoder(T5EncoderModel, T5Config, tokenizer), _alive(vae), _alive(transformer), scheduler)


def tiny_ltx(layers: int = 3, timestep_conditioning: bool = False, inject_noise: bool = False) -> LTXPipeline:
    """LTXPipeline: space factor 4, time factor 4, 2 heads of 10 channels, Euler flow with a shift by the tokens.

    20 channels are, like the 2048 of the published model, no multiple of the 6 that the positions would divide into evenly.
    """
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    vae = AutoencoderKLLTXVideo(
        latent_channels=4,
        block_out_channels=(8, 8),
        down_block_types=("LTXVideoDownBlock3D",) * 2,
        decoder_block_out_channels=(8, 8),
        layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(1, 1, 1),
        spatio_temporal_scaling=(True, True),
        decoder_spatio_temporal_scaling=(True, True),
        decoder_inject_noise=(inject_noise,) * 3,
        downsample_type=("conv",) * 2,
        upsample_residual=(False,) * 2,
        upsample_factor=(1, 1),
        timestep_conditioning=timestep_conditioning,
        patch_size=1,
    )
    vae.latents_mean.copy_(torch.tensor([0.1, -0.2, 0.0, 0.3]))
    vae.latents_std.copy_(torch.tensor([1.5, 0.8, 1.1, 2.0]))
    transformer = LTXVideoTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=10,
        in_channels=4,
        out_channels=4,
        cross_attention_dim=20,
        caption_channels=DIM,
        num_layers=layers,
    )
    scheduler = FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, base_image_seq_len=64, max_image_seq_len=512, shift_terminal=0.1
    )
    parts = _alive(vae), _encoder(T5EncoderModel, T5Config, tokenizer), tokenizer, _alive(transformer)
    transformer.time_embed.linear.weight.data *= 0.3  # so that tokens differ by more than they share,
    for block in transformer.transformer_blocks:
        block.attn1.norm_q.weight.data *= 3  # and each sees something else
    return LTXPipeline(scheduler, *parts)


def tiny_animatediff(frames: int = 16) -> AnimateDiffPipeline:
    """AnimateDiffPipeline: space factor 4, epsilon prediction, DDIM; spatial attention in 4 layers of 2 heads, the second coarser.

    Args:
        frames: the longest clip that the motion modules know.
    """
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 16),
        norm_num_groups=4,
        latent_channels=4,
    )
    unet = UNetMotionModel(
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
        up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=DIM,
        num_attention_heads=2,
        motion_num_attention_heads=2,
        motion_max_seq_length=frames,
    )
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=DIM, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=TEXT, bos_token_id=0, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1)
    return AnimateDiffPipeline(_alive(vae), _alive(CLIPTextModel(text)), tokenizer, _alive(unet), None, scheduler)


def save(pipeline: Any, folder: Path) -> Path:
    """Write a diffusers folder with safetensors weights; returns it."""
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _encoder(kind: type, config: type, tokenizer: PreTrainedTokenizerFast) -> Any:
    settings = config(vocab_size=len(tokenizer), d_model=DIM, d_kv=8, d_ff=48, num_layers=2, num_heads=2, dropout_rate=0.0, pad_token_id=0)
    return _alive(kind(settings))


def _alive(module: torch.nn.Module) -> Any:
    """Random weights large enough that every part of the model shows in the output."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=1.5 / parameter[0].numel() ** 0.5)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return module.eval()
