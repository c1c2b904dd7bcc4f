"""Training of the playground's judge: a small CLIPModel with linear heads that name what a picture shows.

Four losses share one vision tower: pictures and captions find each other (CLIP), linear heads name the attributes,
pictures of one particular subject in different scenes lie together (supervised contrastive loss), and each patch draws its
part of the subjects' masks. The last is a training aid, as are heads that name the subject from the patches it covers: a vision
transformer learns faster when it is told where to look.
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
from pipelines.playground.scene import caption
from pipelines.playground.train.augment import augment
from pipelines.playground.train.export import write_recipe
from pipelines.playground.train.optimise import MuonAndAdamW
from pipelines.playground.train.run import Average, Budget, Run, descend, warm_then_cosine
from pipelines.playground.train.stills import FAMILY, SCENES, SIDE, WorldStills
from pipelines.playground.train.tokenizer import new_tokenizer

OUT = ROOT / "assets" / "models" / "playground-judge"
PICTURES = 8
"""Pictures in one sample of a step."""

PATCH = 12
WIDTH = 128
EMBEDDING = 64
PEAK = 4e-3
NOT_SEEN = ("motion", "camera")
"""Labels that a single picture cannot show."""

OF_THE_SCENE = ("kind", "background", "effect")
"""Labels that hold however many subjects there are; the others are of one subject and asked only where there is one."""

STEPS = (((0, 1), (0, -1), (1, 0), (-1, 0)), ((1, 1), (1, -1), (-1, 1), (-1, -1)), ((0, 2), (0, -2), (2, 0), (-2, 0)))
"""Lower layers -> heads -> step (down, right) in patches to the neighbour that the head attends to at first."""

KEPT = 36
"""Patches of a picture that the first part of the training looks at, of 64: half as many steps more in the same time."""

FEW_UNTIL = 0.75
"""Share of the training after which it looks at all patches."""

NEAR = (0.95, 0.35)
"""Share of pictures seen from near, at the beginning and at the end: an outline is learnt where it is large."""

SHARPNESS = 1.1
"""Of that attention: about a quarter goes to the neighbour, most of the rest around it."""

WEIGHTS = {"words": 0.5, "attributes": 1.0, "same": 0.5, "near": 0.5, "where": 1.0}
"""Of the losses; that of the attributes is a mean over them times their number's square root."""


def configuration(tokenizer: PreTrainedTokenizerFast, layers: int = 5) -> CLIPConfig:
    """About 1.3 million parameters; the text is read up to its end token, as in every CLIP."""
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


def classes(stills: WorldStills) -> dict[str, list[str]]:
    """Attribute -> the names it takes in `stills`, in alphabetical order."""
    names: dict[str, set[str]] = {}
    for scene in stills.scenes:
        for attribute, name in scene.labels().items():
            if attribute not in NOT_SEEN:
                names.setdefault(attribute, set()).add(name)
    return {attribute: sorted(values) for attribute, values in names.items()}


class JudgeNet(nn.Module):
    """The CLIPModel with what is trained beside it.

    Attributes:
        clip: the CLIPModel.
        heads: attribute -> linear layer on the pooled vision features, to logits of its names.
        same: linear layer to the embedding of particular subjects.
        near: training aid, heads on the features of the patches that the front subject covers.
        where: training aid, patch features -> logits of the two subjects' masks within the patch.
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
        """What the losses need of normalised pixels (B, 3, S, S): pooled (B, W), patches (B, N, W), unit vectors image and same.

        `kept` (B, K) are the patches to look at, all if None: the work is in proportion to them.
        """
        vision = self.clip.vision_model
        features = vision.embeddings(pixels)
        if kept is not None:
            features = torch.cat([features[:, :1], pick(features[:, 1:], kept)], 1)
        seen = vision.encoder(inputs_embeds=vision.pre_layrnorm(features)).last_hidden_state
        pooled = vision.post_layernorm(seen[:, 0])
        image, same = F.normalize(self.clip.visual_projection(pooled), dim=-1), F.normalize(self.same(pooled), dim=-1)
        return {"pooled": pooled, "patches": seen[:, 1:], "image": image, "same": same}

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


class Targets:
    """Groups, labels and captions of stills by index.

    Attributes:
        groups: see `WorldStills`.
        labels: attribute -> (count,) index of the name; -1 where there is none, or several subjects to ask of.
        near: the same for the front subject, however many there are.
    """

    def __init__(self, stills: WorldStills, names: dict[str, list[str]]) -> None:
        self.groups, self.scenes = torch.from_numpy(stills.groups), stills.scenes
        told, alone = [scene.labels() for scene in stills.scenes], torch.tensor([len(scene.subjects) == 1 for scene in stills.scenes])
        known = {
            name: torch.tensor([places.index(labels[name]) if name in labels else -1 for labels in told]) for name, places in names.items()
        }
        self.labels = {name: places if name in OF_THE_SCENE else torch.where(alone, places, -1) for name, places in known.items()}
        self.near = {name: places for name, places in known.items() if name not in OF_THE_SCENE}

    def captions(self, draw: np.random.Generator, indices: np.ndarray) -> list[str]:
        """One each, a third of them with words of motion, which the judge has to bear with."""
        return [caption(self.scenes[index], moving=bool(draw.uniform() < 1 / 3)) for index in indices]


def train_judge(
    stills: WorldStills, folder: Path, budget: Budget, device: str, *, batch: int = 64, start: Path | None = None,
    resume: bool = True, seed: int = 0,
) -> tuple[JudgeNet, PreTrainedTokenizerFast, dict[str, list[str]]]:  # fmt: skip
    """The judge with averaged weights, its tokenizer and its classes. `batch` pictures a step, whole families.

    `start` is the folder of a finished judge to go on from.
    """
    torch.manual_seed(seed)
    tokenizer, names = new_tokenizer(), classes(stills)
    targets, model = Targets(stills, names), JudgeNet(tokenizer, names).to(device)
    if start:
        begin_with(model, start)
    average = Average(model, decay=0.998)
    optimiser = MuonAndAdamW(in_two_parts(model), PEAK, weight_decay=0.02)
    run = Run(folder, "judge", {"model": model, "average": average, "optimiser": optimiser}, budget, seed, resume)

    def update(step: int, progress: float) -> float:
        optimiser.set_rate(warm_then_cosine(progress, step, peak=PEAK))
        draw = np.random.default_rng((seed, step))
        indices, pictures = stills.draw(draw, max(1, batch // FAMILY))
        values = augment(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255, NEAR[0] + (NEAR[1] - NEAR[0]) * progress)
        values = values.to(device)
        tokens = tokenizer(targets.captions(draw, indices), padding=True, truncation=True, return_tensors="pt").to(device)
        loss = total(losses(model, values, tokens, targets, torch.from_numpy(indices), device, progress < FEW_UNTIL))
        return descend(loss, model, optimiser, average)

    run.loop(update)
    model.load_state_dict(average.weights)
    return model.cpu().eval(), tokenizer, names


def begin_with(model: JudgeNet, folder: Path) -> None:
    """Take over the weights of the finished judge in `folder`; raises RuntimeError if words or classes differ."""
    from safetensors.torch import load_file

    model.clip.load_state_dict(CLIPModel.from_pretrained(folder, torch_dtype=torch.float32).state_dict())
    heads = {
        name if name.startswith("same.") else f"heads.{name}": value for name, value in load_file(folder / "heads.safetensors").items()
    }
    missing, unknown = model.load_state_dict(heads, strict=False)
    if unknown or any(name.startswith(("heads.", "same.")) for name in missing):
        raise RuntimeError(f"{folder} holds a judge of other classes")


def in_two_parts(model: JudgeNet) -> nn.ModuleDict:
    """The same parameters with the encoders' layers called blocks, which is where the optimiser uses Muon."""
    layers = [model.clip.vision_model.encoder.layers, model.clip.text_model.encoder.layers]
    return nn.ModuleDict({"blocks": nn.ModuleList(layers), "rest": model})


def losses(
    model: JudgeNet, values: torch.Tensor, tokens: Any, targets: Targets, indices: torch.Tensor, device: str, few: bool = False
) -> dict[str, torch.Tensor]:
    """Each loss of a batch of pictures with masks (B, 5, S, S) in 0..1; with `few` patches of each picture or all."""
    masks = patches(values[:, 3:])
    kept = worth_seeing(masks) if few else None
    seen = model(values[:, :3] * 2 - 1, kept)
    masks = masks if kept is None else pick(masks, kept)
    labels, near = ({name: known[indices].to(device) for name, known in part.items()} for part in (targets.labels, targets.near))
    return {
        "words": matching(seen["image"], model.words(tokens.input_ids, tokens.attention_mask), model.clip.logit_scale),
        "attributes": naming(model.heads, seen["pooled"], labels),
        "same": sameness(seen["same"], targets.groups[indices].to(device)),
        "near": naming(model.near, covered(seen["patches"], masks), near),
        "where": F.binary_cross_entropy_with_logits(model.where(seen["patches"]), masks),
    }


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
    logits = image @ words.T * scale.clamp(max=math.log(100)).exp()
    right = torch.arange(len(image), device=image.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def naming(heads: nn.ModuleDict, pooled: torch.Tensor, labels: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of each attribute over the pictures that have it, summed over attributes and divided by the root of their number."""
    each = [F.cross_entropy(head(pooled), labels[name], ignore_index=-1) for name, head in heads.items() if (labels[name] >= 0).any()]
    return torch.stack(each).sum() / len(each) ** 0.5 if each else pooled.sum() * 0


def sameness(embeddings: torch.Tensor, groups: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, eq. 2) of unit embeddings (B, E); pictures of group -1 only repel."""
    itself = torch.eye(len(groups), dtype=torch.bool, device=groups.device)
    alike = (groups[:, None] == groups) & (groups >= 0) & ~itself
    log_share = (embeddings @ embeddings.T / temperature).masked_fill(itself, -math.inf).log_softmax(1)
    anchors = alike.any(1)
    if not anchors.any():
        return embeddings.sum() * 0
    return -(log_share.masked_fill(~alike, 0).sum(1)[anchors] / alike.sum(1)[anchors]).mean()


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


def export_judge(model: JudgeNet, tokenizer: PreTrainedTokenizerFast, names: dict[str, list[str]], out: Path) -> None:
    """Write the folder: a CLIPModel with its processor in bf16, heads.safetensors and heads.json beside it."""
    from safetensors.torch import save_file

    model.clip.to(torch.bfloat16).save_pretrained(out)
    processor(tokenizer).save_pretrained(out)
    tensors = {f"{name}.{part}": value for name, head in model.heads.items() for part, value in head.state_dict().items()}
    tensors["same.weight"] = model.same.weight.detach()
    save_file({name: value.to(torch.bfloat16).contiguous() for name, value in tensors.items()}, out / "heads.safetensors")
    (out / "heads.json").write_text(json.dumps({"attributes": names, "embedding": "same"}, indent=2) + "\n")


def main(flags: argparse.Namespace, device: str) -> None:
    """`train judge`: PICTURES x --batch pictures a step."""
    stills = WorldStills(flags.work / "world", flags.clips or SCENES)
    stills.render_missing()
    budget, batch, out = Budget.of(flags), PICTURES * flags.batch, flags.out or OUT
    trained = train_judge(
        stills, flags.work / "judge", budget, device, batch=batch, start=flags.start, resume=flags.resume, seed=flags.seed
    )
    export_judge(*trained, out)
    write_recipe(out, flags, device)
