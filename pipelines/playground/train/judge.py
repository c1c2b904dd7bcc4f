"""Training of the playground's judge: attribute heads that look at the subject from near, and a small CLIPModel.

In the CLIPModel, losses that are kept share the vision tower with aids that are not: pictures and captions find each other (CLIP);
linear heads name the attributes, also from the patches that the subject covers; pictures of one particular subject lie together
(supervised contrastive loss); and halfway up each patch draws its part of the subjects' masks. A vision transformer learns
outlines late unless it is told early where they are. For the same reason many of the first pictures show their subjects
large and on plain ground.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, PreTrainedTokenizerFast

from pipelines.models.registry import ROOT
from pipelines.playground.looking import OF_THE_SCENE, Looking
from pipelines.playground.train.augment import augment
from pipelines.playground.train.export import write_recipe
from pipelines.playground.train.looking import naming, train_looking
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine
from pipelines.playground.train.stills import FAMILY, SCENES, SIDE, WorldStills
from pipelines.playground.train.targets import Targets, classes, sameness
from pipelines.playground.train.tokenizer import new_tokenizer

OUT = ROOT / "assets" / "models" / "playground-judge"
SHARES = {"looking": 0.6, "clip": 0.4}
"""Of the budget."""

PICTURES = 8
"""Pictures in one sample of a step."""

PATCH = 12
WIDTH = 128
EMBEDDING = 64
PEAK = 4e-3
STEPS = (((0, 1), (0, -1), (1, 0), (-1, 0)), ((1, 1), (1, -1), (-1, 1), (-1, -1)), ((0, 2), (0, -2), (2, 0), (-2, 0)))
"""Lower layers -> heads -> step (down, right) in patches to the neighbour that the head attends to at first."""

KEPT = 36
"""Patches of a picture that the first part of the training looks at, of 64: half as many steps more in the same time."""

FEW_UNTIL = 0.75
"""Share of the training after which it looks at all patches."""

NEAR = (0.95, 0.35)
"""Share of pictures seen from near, at the beginning and at the end: an outline is learnt where it is large."""

PLAIN = 0.7
"""Share of pictures on plain ground at the beginning; it falls to none at PLAIN_UNTIL."""

PLAIN_UNTIL = 0.5
OUTLINES = 3
"""Layer after which patches draw their part of the masks: the layers above read outlines, those below find them."""

SHARPNESS = 1.1
"""Of that attention: about a quarter goes to the neighbour, most of the rest around it."""

WEIGHTS = {"words": 0.5, "attributes": 1.0, "same": 0.5, "near": 0.5, "where": 1.0}
"""Of the losses; that of the attributes is a mean over them times their number's square root."""


def configuration(tokenizer: PreTrainedTokenizerFast, layers: int = 6) -> CLIPConfig:
    """About 1.5 million parameters; the text is read up to its end token, as in every CLIP."""
    vision = {
        "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": layers, "num_attention_heads": 4,
        "image_size": SIDE, "patch_size": PATCH, "hidden_act": "gelu",
    }  # fmt: skip
    text = {
        "hidden_size": 96, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 3, "hidden_act": "gelu",
        "vocab_size": len(tokenizer), "max_position_embeddings": tokenizer.model_max_length,
        "pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH)


class JudgeNet(nn.Module):
    """The CLIPModel with training aids beside it.

    Attributes:
        clip: the CLIPModel.
        heads: attribute -> linear layer on the pooled vision features, to logits of its names.
        same: linear layer to an embedding of particular subjects.
        near: heads on the features of the patches that the front subject covers.
        where: patch features -> logits of the two subjects' masks within the patch.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, names: dict[str, list[str]]) -> None:
        super().__init__()
        self.clip = CLIPModel(configuration(tokenizer))
        self.heads = nn.ModuleDict({attribute: nn.Linear(WIDTH, len(values)) for attribute, values in names.items()})
        self.same = nn.Linear(WIDTH, EMBEDDING, bias=False)
        of_subject = {attribute: values for attribute, values in names.items() if attribute not in OF_THE_SCENE}
        self.near = nn.ModuleDict({attribute: nn.Linear(WIDTH, len(values)) for attribute, values in of_subject.items()})
        self.where = nn.Linear(WIDTH, 2 * (PATCH // 2) ** 2)
        look_around(self.clip.vision_model)
        nn.init.constant_(self.clip.logit_scale, math.log(10))

    def forward(self, pixels: torch.Tensor, kept: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """What the losses need of normalised pixels (B, 3, S, S): pooled (B, W), patches and outlines (B, N, W), unit vectors
        image and same.

        `kept` (B, K) are the patches to look at, all if None: the work is in proportion to them.
        """
        vision = self.clip.vision_model
        features = vision.embeddings(pixels)
        if kept is not None:
            features = torch.cat([features[:, :1], pick(features[:, 1:], kept)], 1)
        seen, outlines = vision.pre_layrnorm(features), None
        for index, layer in enumerate(vision.encoder.layers, 1):
            seen = layer(seen, attention_mask=None)
            outlines = seen[:, 1:] if index == OUTLINES else outlines
        pooled = vision.post_layernorm(seen[:, 0])
        image, same = F.normalize(self.clip.visual_projection(pooled), dim=-1), F.normalize(self.same(pooled), dim=-1)
        return {"pooled": pooled, "patches": seen[:, 1:], "outlines": outlines, "image": image, "same": same}

    def words(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, D) unit embeddings of tokenised captions."""
        return F.normalize(self.clip.text_projection(self.clip.text_model(tokens, mask).pooler_output), dim=-1)


def look_around(vision: nn.Module) -> None:
    """Begin as a network of convolutions would: heads of the lower layers attend to neighbouring patches, each to one.

    After Zheng, Li and Lucey (arXiv 2401.12511), in closed form: the first 32 channels of the position embedding hold sines
    and cosines of row and column, keys pick them, and queries turn them by the head's step.
    """
    embedding, side = vision.embeddings.position_embedding, SIDE // PATCH
    frequency = 2 / 3 * math.pi * torch.exp(torch.linspace(0, -math.log(side), 8))
    row, column = (at.reshape(-1, 1) * frequency for at in torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij"))
    with torch.no_grad():
        embedding.weight[:, :32] = 0
        embedding.weight[1:, :32] = 0.3 * torch.cat([row.sin(), row.cos(), column.sin(), column.cos()], 1)
        for layer, steps in zip(vision.encoder.layers, STEPS, strict=False):
            for head, (down, right) in enumerate(steps):
                own = slice(head * 32, head * 32 + 32)
                layer.self_attn.k_proj.weight[own] = SHARPNESS * torch.eye(32, WIDTH)
                turned = torch.block_diag(turn(down * frequency), turn(right * frequency))
                layer.self_attn.q_proj.weight[own] = SHARPNESS * F.pad(turned, (0, WIDTH - 32))


def turn(angles: torch.Tensor) -> torch.Tensor:
    """(2 K, 2 K) matrix that takes K sines and K cosines to those of angles greater by `angles` (K,)."""
    cos, sin = angles.cos().diag(), angles.sin().diag()
    return torch.cat([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)])


def train_clip(
    stills: WorldStills, names: dict[str, list[str]], folder: Path, budget: Budget, device: str, *, batch: int = 64,
    start: Path | None = None, resume: bool = True, seed: int = 0,
) -> tuple[CLIPModel, PreTrainedTokenizerFast]:  # fmt: skip
    """The CLIPModel with averaged weights, and its tokenizer. `batch` pictures a step, whole families.

    `start` is the folder of a finished judge to go on from.
    """
    torch.manual_seed(seed)
    tokenizer = new_tokenizer()
    targets, model = Targets(stills, names), JudgeNet(tokenizer, names).to(device)
    if start:
        model.clip.load_state_dict(CLIPModel.from_pretrained(start, torch_dtype=torch.float32).state_dict())
    average = Average(model, decay=0.998)
    optimiser = MuonAndAdamW(in_two_parts(model), PEAK, weight_decay=0.02)
    run = Run(folder, "clip", {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK))
        draw = np.random.default_rng((seed, step))
        indices, pictures = stills.draw(draw, max(1, batch // FAMILY))
        values = augment(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255, NEAR[0] + (NEAR[1] - NEAR[0]) * progress)
        plain = torch.rand(len(values)) < PLAIN * max(0.0, 1 - progress / PLAIN_UNTIL)
        values = on_plain_ground(values, plain).to(device)
        tokens = tokenizer(targets.captions(draw, indices), padding=True, truncation=True, return_tensors="pt").to(device)
        parts = losses(model, values, tokens, targets, torch.from_numpy(indices), device, progress < FEW_UNTIL, plain.to(device))
        loss = total(parts)
        return descend(loss, model, optimiser, average)

    run.loop(update)
    model.load_state_dict(average.weights)
    return model.clip.cpu().eval(), tokenizer


def in_two_parts(model: JudgeNet) -> nn.ModuleDict:
    """The same parameters with the encoders' layers called blocks, which is where the optimiser uses Muon."""
    layers = [model.clip.vision_model.encoder.layers, model.clip.text_model.encoder.layers]
    return nn.ModuleDict({"blocks": nn.ModuleList(layers), "rest": model})


def losses(
    model: JudgeNet, values: torch.Tensor, tokens: Any, targets: Targets, indices: torch.Tensor, device: str, few: bool = False,
    plain: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Each loss of a batch of pictures with masks (B, 5, S, S) in 0..1.

    Args:
        few: with some patches of each picture, see `worth_seeing`, or all.
        plain: (B,) bool, which are on plain ground: they are not asked for place and effect, nor for their captions.
    """
    plain = torch.zeros(len(values), dtype=torch.bool, device=device) if plain is None else plain
    masks = patches(values[:, 3:])
    kept = worth_seeing(masks) if few else None
    seen = model(values[:, :3] * 2 - 1, kept)
    masks = masks if kept is None else pick(masks, kept)
    labels, near = ({name: known[indices].to(device) for name, known in part.items()} for part in (targets.labels, targets.near))
    labels |= {name: labels[name].masked_fill(plain, -1) for name in ("background", "effect") if name in labels}
    spoken = model.words(tokens.input_ids, tokens.attention_mask)
    return {
        "words": matching(seen["image"][~plain], spoken[~plain], model.clip.logit_scale),
        "attributes": naming(told_by(model.heads, seen["pooled"]), labels),
        "same": sameness(seen["same"], targets.groups[indices].to(device)),
        "near": naming(told_by(model.near, covered(seen["patches"], masks)), near),
        "where": F.binary_cross_entropy_with_logits(model.where(seen["outlines"]), masks),
    }


def on_plain_ground(pictures: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
    """(B, 5, S, S) pictures with masks; those of `plain` (B,) get a ground of one colour behind their subjects."""
    ground = torch.rand(len(pictures), 3, 1, 1)
    cover = pictures[:, 3:].sum(1, keepdim=True).clamp(max=1)
    colours = torch.lerp(ground, pictures[:, :3], cover)
    return torch.cat([torch.where(plain[:, None, None, None], colours, pictures[:, :3]), pictures[:, 3:]], 1)


def worth_seeing(masks: torch.Tensor) -> torch.Tensor:
    """(B, KEPT) patches: those of the subjects first, then around them, then others at random. `masks`: see `patches`."""
    side = math.isqrt(masks.shape[1])
    covered = masks.mean(2).unflatten(1, (side, side))[:, None]
    on, close = covered.flatten(1) > 0.02, F.max_pool2d(covered, 3, 1, 1).flatten(1) > 0.02
    return (on.float() + close + torch.rand(close.shape, device=close.device)).topk(KEPT, 1).indices


def pick(features: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """(B, K, W) of features (B, N, W) at places (B, K)."""
    return features.gather(1, kept[..., None].expand(-1, -1, features.shape[-1]))


def total(parts: dict[str, torch.Tensor]) -> torch.Tensor:
    """The weighted sum."""
    return sum(WEIGHTS[name] * loss for name, loss in parts.items())


def matching(image: torch.Tensor, words: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """CLIP's symmetric cross-entropy of unit embeddings (B, D) (Radford et al. 2021, figure 3); the scale is at most 100."""
    if not len(image):
        return words.sum() * 0
    logits = image @ words.T * scale.clamp(max=math.log(100)).exp()
    right = torch.arange(len(image), device=image.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def told_by(heads: nn.ModuleDict, features: torch.Tensor) -> dict[str, torch.Tensor]:
    """Attribute -> logits (B, N) of features (B, W)."""
    return {name: head(features) for name, head in heads.items()}


def covered(features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """(B, W): features (B, N, W) of the patches, weighted by how much of each the front subject covers. `masks`: see `patches`."""
    weight = masks[..., : masks.shape[-1] // 2].mean(2, keepdim=True)
    return (features * (weight / (weight.sum(1, keepdim=True) + 1e-4))).sum(1)


def patches(masks: torch.Tensor) -> torch.Tensor:
    """(B, N, 2 x P/2 x P/2) masks within each patch, at half the resolution, of masks (B, 2, S, S)."""
    return F.unfold(F.avg_pool2d(masks, 2), PATCH // 2, stride=PATCH // 2).transpose(1, 2)


def processor(tokenizer: PreTrainedTokenizerFast) -> CLIPProcessor:
    """Pictures of any shape become SIDE x SIDE with values -1..1; nothing is cut off."""
    half = [0.5, 0.5, 0.5]
    size = {"height": SIDE, "width": SIDE}
    return CLIPProcessor(CLIPImageProcessor(size=size, do_center_crop=False, image_mean=half, image_std=half), tokenizer)


def export_judge(clip: CLIPModel, tokenizer: PreTrainedTokenizerFast, looking: Looking, out: Path) -> None:
    """Write the folder: a CLIPModel with its processor in bf16; beside it the attribute heads, heads.safetensors and heads.json."""
    from safetensors.torch import save_file

    clip.to(torch.bfloat16).save_pretrained(out)
    processor(tokenizer).save_pretrained(out)
    save_file({name: value.to(torch.bfloat16).contiguous() for name, value in looking.state_dict().items()}, out / "heads.safetensors")
    (out / "heads.json").write_text(json.dumps({"attributes": looking.names}, indent=2) + "\n")


def main(flags: argparse.Namespace, device: str) -> None:
    """`train judge`: PICTURES x --batch pictures a step; first the attribute heads, then the CLIPModel."""
    stills = WorldStills(flags.work / "world", flags.clips or SCENES)
    stills.render_missing()
    names, budget, out = classes(stills), Budget.of(flags), flags.out or OUT
    how = {"batch": PICTURES * flags.batch, "start": flags.start, "resume": flags.resume, "seed": flags.seed}
    looking = train_looking(stills, names, flags.work / "judge", budget.part(SHARES["looking"]), device, **how)
    clip, tokenizer = train_clip(stills, names, flags.work / "judge", budget.part(SHARES["clip"]), device, **how)
    export_judge(clip, tokenizer, looking, out)
    write_recipe(out, flags, device)
