"""The optimiser of the video models: Muon for the matrices and convolutions inside the network, AdamW for everything else."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import nn

from pipelines.playground.train.precision import has_bfloat16

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration (Jordan et al., Muon, 2024)."""


class MuonAndAdamW(torch.optim.Optimizer):
    """One optimiser for two kinds of parameters.

    Matrices of the blocks (a convolution counts as the matrix of its filters) move along their orthogonalised momentum,
    scaled to AdamW's typical step (Liu et al. 2025, arXiv 2502.16982, eq. 4), so that both kinds share one learning rate
    schedule. torch.optim.Muon computes in bfloat16, which processors without such units emulate at a tenth of the speed;
    here matrices of one shape are orthogonalised together, and in float32 there.

    Args:
        model: weights named `...block...` with two dimensions or more, none of them tiny, go to Muon.
        peak: learning rate of AdamW; Muon's is `ratio` times as high.
    """

    def __init__(self, model: nn.Module, peak: float, ratio: float = 3.0, weight_decay: float = 0.01) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        matrices = [p for name, p in named if "block" in name and _is_matrix(p)]
        chosen = {id(p) for p in matrices}
        rest = [p for _, p in named if id(p) not in chosen]
        groups = [{"params": matrices, "muon": True, "scale": ratio}, {"params": rest, "muon": False, "scale": 1.0}]
        super().__init__([group for group in groups if group["params"]], {"lr": peak, "weight_decay": weight_decay})

    def set_rate(self, rate: float) -> None:
        """The learning rate of the next step."""
        for group in self.param_groups:
            group["lr"] = rate * group["scale"]

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """One update of all parameters that have a gradient."""
        for group in self.param_groups:
            (self._muon if group["muon"] else self._adamw)(group)

    def _muon(self, group: dict, momentum: float = 0.95) -> None:
        by_shape = defaultdict(list)
        for p in group["params"]:
            if p.grad is not None:
                by_shape[p.shape].append(p)
        for shape, parameters in by_shape.items():
            moments = [self.state[p].setdefault("moment", torch.zeros_like(p)) for p in parameters]
            torch._foreach_lerp_(moments, [p.grad for p in parameters], 1 - momentum)
            looking_ahead = torch._foreach_lerp([p.grad for p in parameters], moments, momentum)
            directions = orthogonalise(torch.stack(looking_ahead).flatten(2)).unflatten(2, shape[1:]).unbind()
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(parameters, directions, alpha=-group["lr"] * 0.2 * max(shape[0], shape[1:].numel()) ** 0.5)

    def _adamw(self, group: dict, betas: tuple[float, float] = (0.9, 0.95), eps: float = 1e-8) -> None:
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state.update(step=torch.zeros(()), first=torch.zeros_like(p), second=torch.zeros_like(p))
            state["step"] += 1
            corrected = [1 - beta ** state["step"].item() for beta in betas]
            state["first"].lerp_(p.grad, 1 - betas[0])
            state["second"].lerp_(p.grad.square(), 1 - betas[1])
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.addcdiv_(state["first"] / corrected[0], (state["second"] / corrected[1]).sqrt() + eps, value=-group["lr"])


def _is_matrix(weight: nn.Parameter) -> bool:
    return weight.ndim >= 2 and min(weight.shape[0], weight.shape[1:].numel()) >= 8


def orthogonalise(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """(N, R, C) with every singular value pushed to about 1 (0.7..1.2), by Newton-Schulz iteration."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16() if has_bfloat16(matrices.device.type) else matrices
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
