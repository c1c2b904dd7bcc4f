"""The algebra of two tasks' gradients: cosines by hand, PCGrad removes the conflict and nothing else, and remembers rightly."""

from __future__ import annotations

import pytest
import torch

from pipelines.methods.subject_training.conflict import Recent, combined, flat, groups_of, phi, projected

A, B = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])


def drawn(seed: int, size: int = 50) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    assert phi(A, B) == pytest.approx(-(0.5**0.5)) and phi(A, -A) == pytest.approx(-1) and phi(A, A * 3) == pytest.approx(1)
    assert phi(A, torch.zeros(2)) == 0
    assert torch.allclose(projected(A, B), torch.tensor([0.5, 0.5]))
    assert torch.allclose(projected(B, A), torch.tensor([0.0, 1.0]))
    assert torch.allclose(combined(A, B, 0.2), torch.tensor([0.4, 0.6]))
    friends = torch.tensor([1.0, 1.0])
    assert torch.equal(projected(A, friends), A) and torch.allclose(combined(A, friends, 0.25), torch.tensor([1.0, 0.25]))


@pytest.mark.parametrize("seed", range(8))
def test_exactly_the_conflicting_component_goes(seed: int) -> None:
    g, other = drawn(seed), drawn(seed + 100)
    made = projected(g, other)
    taken = g - made
    if g @ other >= 0:
        assert torch.equal(made, g)
    else:
        assert abs(float(made @ other)) < 1e-4 and float((taken / other).std()) < 1e-5  # along `other`, nothing else
    assert torch.allclose(projected(made, other), made, atol=1e-5)
    assert float(made @ other) > -1e-4


def test_remembered_pairs_are_as_if_direct() -> None:
    recent = Recent(4, 0.2)
    assert torch.equal(recent.direction("images", A), A)  # alone
    assert torch.allclose(recent.direction("clips", B), combined(A, B, 0.2))
    assert torch.allclose(recent.direction("images", A), combined(A, B, 0.2))


def test_the_oldest_is_forgotten_and_a_buffer_goes_on_where_it_was() -> None:
    recent, other = Recent(2, 0.5), Recent(2, 0.5)
    for task, seed in (("images", 0), ("images", 1), ("clips", 2)):
        recent.direction(task, drawn(seed))
    other.load_state_dict(recent.state_dict())
    expected = combined(drawn(3), drawn(2), 0.5)
    assert torch.allclose(recent.direction("images", drawn(3)), expected) and torch.allclose(other.direction("images", drawn(3)), expected)


def test_groups_share_out_all_places() -> None:
    names = ["patch_embed.proj", "blocks.0.attn1.to_q", "blocks.0.ff.net.2", "blocks.0.norm1.linear", "blocks.1.attn1.to_q"]
    sizes = [2, 3, 1, 4, 3]
    groups = groups_of(names, sizes)
    assert set(groups) == {"attention", "feed-forward", "modulation", "embedding"}
    assert sorted(torch.cat(list(groups.values())).tolist()) == list(range(13)) and groups["attention"].tolist() == [2, 3, 4, 10, 11, 12]
    assert flat([torch.ones(2, 2), torch.zeros(3, dtype=torch.float16)]).tolist() == [1, 1, 1, 1, 0, 0, 0]
