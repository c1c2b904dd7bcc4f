"""Training of the playground's segmenter: a small CLIPSegForImageSegmentation that masks what words name.

It begins with the vision and text towers of the judge, the upper vision layers left out, and trains them on: in so small a
model frozen towers cost much accuracy. Half of the prompts name something that is not there, whose mask is empty.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoTokenizer, CLIPModel, CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor, ViTImageProcessor

from pipelines.models.registry import ROOT
from pipelines.playground.train.augment import augment
from pipelines.playground.train.export import write_recipe
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.prompts import Prompt, any_prompt, attributes, right_prompt, wrong_prompt
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine
from pipelines.playground.train.stills import MOMENTS, SCENES, SIDE, WorldStills

PICTURES = 4
"""Pictures in one sample of a step."""

LAYERS = 4
"""Vision layers that are kept of the judge."""

PEAK = 2e-3
OUT = ROOT / "assets" / "models" / "playground-segmenter"
JUDGE = ROOT / "assets" / "models" / "playground-judge"


def new_segmenter(judge: CLIPModel) -> CLIPSegForImageSegmentation:
    """About 1.3 million parameters: the towers are copies of the judge's, the decoder is new."""
    vision, text = judge.config.vision_config.to_dict(), judge.config.text_config.to_dict()
    config = CLIPSegConfig(
        vision_config=vision | {"num_hidden_layers": LAYERS, "model_type": "clipseg_vision_model"},
        text_config=text | {"model_type": "clipseg_text_model"},
        projection_dim=judge.config.projection_dim, extract_layers=[0, 1, 3], reduce_dim=64,
        decoder_num_attention_heads=4, decoder_intermediate_size=256,
    )  # fmt: skip
    model = CLIPSegForImageSegmentation(config)
    known = {name: value for name, value in judge.state_dict().items() if name in model.clip.state_dict()}
    model.clip.load_state_dict(known)
    return model


def mask_logits(model: CLIPSegForImageSegmentation, pixels: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, S, S): the model's own forward pass, without its `no_grad` around the towers."""
    seen = model.clip.vision_model(pixel_values=pixels, output_hidden_states=True).hidden_states
    named = model.clip.text_projection(model.clip.text_model(tokens, attention_mask=mask).pooler_output)
    return model.decoder(tuple(seen[layer + 1] for layer in model.extract_layers), named).logits


def mask_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus a soft Dice loss (Milletari et al. 2016) of masks (B, S, S); Dice counts where something is to be found."""
    shares, there = logits.sigmoid(), truth.flatten(1).sum(1) > 0
    both = (shares * truth).flatten(1).sum(1)
    dice = 1 - (2 * both + 1) / ((shares.square() + truth.square()).flatten(1).sum(1) + 1)
    return F.binary_cross_entropy_with_logits(logits, truth) + 0.3 * (dice * there).mean()


class PromptedStills:
    """Pictures with prompts and the masks that these ask for."""

    def __init__(self, stills: WorldStills) -> None:
        self.stills = stills
        self.subjects = [attributes(scene) for scene in stills.scenes]

    def batch(self, draw: np.random.Generator, size: int) -> tuple[torch.Tensor, list[str]]:
        """Pictures (size, 5, S, S) in 0..1, and `size` prompts.

        Channels are the colours, the front subject, around which pictures are seen from near, and what the prompt asks for.
        """
        indices = draw.integers(len(self.stills), size=size)
        pictures = torch.from_numpy(np.stack([self.stills.picture(int(index), int(draw.integers(MOMENTS))) for index in indices]))
        values = pictures.permute(0, 3, 1, 2).float() / 255
        prompts = [self._prompt(draw, index) for index in indices]
        truth = torch.stack(
            [wanted(prompt, self.subjects[index], masks) for prompt, index, masks in zip(prompts, indices, values[:, 3:], strict=True)]
        )
        return torch.cat([values[:, :4], truth[:, None]], 1), [prompt.words for prompt in prompts]

    def _prompt(self, draw: np.random.Generator, index: int) -> Prompt:
        subjects = self.subjects[index]
        chance = draw.uniform()
        if chance < 0.5:
            turned = subjects if draw.uniform() < 0.5 else subjects[::-1]
            return right_prompt(draw, turned)
        return any_prompt(draw) if chance < 0.6 else wrong_prompt(draw, subjects)


def wanted(prompt: Prompt, subjects: list[dict[str, str]], masks: torch.Tensor) -> torch.Tensor:
    """(S, S) coverage by all subjects that `prompt` is true of; `masks` (2, S, S) begins with the front one."""
    fitting = [masks[place] for place, subject in enumerate(subjects[::-1][:2]) if prompt.fits(subject)]
    return torch.stack(fitting).sum(0).clamp(max=1) if fitting else torch.zeros_like(masks[0])


def train_segmenter(
    stills: WorldStills, folder: Path, judge: Path, budget: Budget, device: str, *, batch: int = 32, resume: bool = True, seed: int = 0
) -> CLIPSegForImageSegmentation:
    """The segmenter with averaged weights; `judge` is the folder of a trained judge."""
    torch.manual_seed(seed)
    tokenizer, data = AutoTokenizer.from_pretrained(judge), PromptedStills(stills)
    model = new_segmenter(CLIPModel.from_pretrained(judge, torch_dtype=torch.float32)).to(device)
    average = Average(model, decay=0.998)
    optimiser = MuonAndAdamW(in_two_parts(model), PEAK, weight_decay=0.02)
    run = Run(folder, "segmenter", {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK))
        pictures, prompts = data.batch(np.random.default_rng((seed, step)), batch)
        values = augment(pictures).to(device)
        tokens = tokenizer(prompts, padding=True, truncation=True, return_tensors="pt").to(device)
        loss = mask_loss(mask_logits(model, values[:, :3] * 2 - 1, tokens.input_ids, tokens.attention_mask), values[:, 4])
        return descend(loss, model, optimiser, average)

    run.loop(update)
    model.load_state_dict(average.weights)
    return model.cpu().eval()


def in_two_parts(model: CLIPSegForImageSegmentation) -> nn.ModuleDict:
    """The same parameters with all transformer layers called blocks, which is where the optimiser uses Muon."""
    layers = [model.clip.vision_model.encoder.layers, model.clip.text_model.encoder.layers, model.decoder.layers]
    return nn.ModuleDict({"blocks": nn.ModuleList(layers), "rest": model})


def export_segmenter(model: CLIPSegForImageSegmentation, judge: Path, out: Path) -> None:
    """Write the folder in bf16: the model and its processor; the tokenizer is the judge's."""
    half = [0.5, 0.5, 0.5]
    pictures = ViTImageProcessor(size={"height": SIDE, "width": SIDE}, resample=3, image_mean=half, image_std=half)
    model.to(torch.bfloat16).save_pretrained(out)
    CLIPSegProcessor(pictures, AutoTokenizer.from_pretrained(judge)).save_pretrained(out)


def main(flags: argparse.Namespace, device: str) -> None:
    """`train segmenter`: on the judge of --start (default: the one that comes along); PICTURES x --batch pictures a step."""
    stills = WorldStills(flags.work / "world", flags.clips or SCENES)
    stills.render_missing()
    judge, out = flags.start or JUDGE, flags.out or OUT
    budget, batch = Budget.of(flags), PICTURES * flags.batch
    model = train_segmenter(stills, flags.work / "segmenter", judge, budget, device, batch=batch, resume=flags.resume, seed=flags.seed)
    export_segmenter(model, judge, out)
    flags.start = judge
    write_recipe(out, flags, device)
