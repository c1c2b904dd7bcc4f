"""The optimiser of the video models: directions are orthogonal, state survives, AdamW's part is AdamW."""

from __future__ import annotations

import copy

import torch

from pipelines.playground.train.optimise import MuonAndAdamW, orthogonalise


class Blocks(torch.nn.Module):
    """One matrix inside a block, one outside."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList([torch.nn.Linear(16, 24)])
        self.head = torch.nn.Linear(24, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.blocks[0](x)))


def train(model: Blocks, optimiser: torch.optim.Optimizer, steps: range) -> float:
    for step in steps:
        x = torch.randn(64, 16, generator=torch.Generator().manual_seed(step))
        loss = (model(x) - x[:, :1].abs()).pow(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return loss.item()


def test_singular_values_become_about_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 32, 64), (2, 64, 32)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
        assert values.min() > 0.6 and values.max() < 1.25


def test_the_rest_moves_as_with_adamw() -> None:
    torch.manual_seed(0)
    ours, theirs = torch.nn.Linear(16, 4), torch.nn.Linear(16, 4)
    theirs.load_state_dict(ours.state_dict())
    pairs = (
        (ours, MuonAndAdamW(ours, 1e-2)),
        (theirs, torch.optim.AdamW(theirs.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.01)),
    )
    for model, optimiser in pairs:
        for step in range(20):
            x = torch.randn(8, 16, generator=torch.Generator().manual_seed(step))
            optimiser.zero_grad()
            model(x).pow(2).mean().backward()
            optimiser.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)


def test_it_learns_and_goes_on_from_its_state() -> None:
    torch.manual_seed(0)
    first = Blocks()
    optimiser = MuonAndAdamW(first, 3e-3)
    begin = train(first, optimiser, range(1))
    train(first, optimiser, range(1, 60))
    second = Blocks()
    second.load_state_dict(first.state_dict())
    resumed = MuonAndAdamW(second, 3e-3)
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    assert train(first, optimiser, range(60, 120)) == train(second, resumed, range(60, 120)) < 0.5 * begin
