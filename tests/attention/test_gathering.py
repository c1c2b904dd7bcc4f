"""Tokens put together from other places: permutations are carried out, closed gates leave everything alone, nothing stays behind."""

from __future__ import annotations

import pytest
import torch

from pipelines.attention.edits import recording
from pipelines.attention.gathering import gathering

LAYER = 1


@pytest.fixture(params=["wan", "cogvideox", "ltx", "animatediff"])
def backbone(request: pytest.FixtureRequest):
    """Each family in turn, the UNet too."""
    return request.getfixturevalue(request.param)


def passed(backbone, prepare=lambda edit, own: None, what: str = "query", clips: int = 1, **options):
    """What the layer said before and after the edit of a pass: (rows, N, C) each, and its layout."""
    latents = torch.cat([backbone.initial_noise(9, 32, 32, seed) for seed in range(clips)])
    text = backbone.encode_text(["a red ball", ""][:1] * clips)
    empty = backbone.encode_text([""] * clips)
    layout, blocks, rows = backbone.tokens(latents), backbone.blocks(), 2 * clips
    own = blocks[LAYER].tokens(layout)
    with (
        torch.no_grad(),
        recording(blocks, what, layout, layers=[LAYER], rows=rows) as before,
        gathering(blocks, what, layout, rows=rows, layers=[LAYER], **options) as edit,
        recording(blocks, what, layout, layers=[LAYER], rows=rows) as after,
    ):
        prepare(edit, own)
        backbone.guided(latents, torch.tensor(500), text, empty, 3.0)
        return before.latest(LAYER), after.latest(LAYER), own


def test_until_something_is_written_nothing_changes(backbone) -> None:
    before, after, _ = passed(backbone)
    assert torch.equal(before, after)


def test_a_permutation_is_carried_out_on_video_tokens_alone(backbone) -> None:
    orders = []

    def turn(edit, own) -> None:
        orders.append(torch.arange(own.video).flip(0))
        edit.write(LAYER, orders[0].expand(2, 1, -1), 1.0, 1.0)

    before, after, own = passed(backbone, turn)
    assert torch.allclose(after[:, own.text :], before[:, own.text :][:, orders[0]], atol=1e-6)
    assert torch.equal(after[:, : own.text], before[:, : own.text])


def test_two_sources_are_weighed(backbone) -> None:
    def halve(edit, own) -> None:
        index = torch.stack([torch.arange(own.video), torch.arange(own.video).roll(1)])
        edit.write(LAYER, index.expand(2, -1, -1), torch.tensor([[0.25], [0.75]]), 1.0)

    before, after, own = passed(backbone, halve, sources=2)
    video = before[:, own.text :]
    assert torch.allclose(after[:, own.text :], 0.25 * video + 0.75 * video.roll(1, 1), atol=1e-5)


def test_pairs_exchange_what_they_say_within_their_half(backbone) -> None:
    def exchange(edit, own) -> None:
        edit.write(LAYER, torch.arange(own.video).expand(4, 1, -1), 1.0, 0.8)

    before, after, own = passed(backbone, exchange, "output", clips=2, pool="partner")
    partner = before[[1, 0, 3, 2]]
    assert torch.allclose(after[:, own.text :], (before + 0.8 * (partner - before))[:, own.text :], atol=1e-5)


def test_a_bank_stands_in_where_the_gate_is_open(backbone) -> None:
    banks = []

    def fill(edit, own) -> None:
        channels = backbone.blocks()[LAYER].width("output")
        banks.append(torch.randn(2, 2 * own.video, channels))
        gate = torch.zeros(2, own.video)
        gate[:, 0] = 1
        edit.write(LAYER, torch.full((2, 1, own.video), own.video), 1.0, gate, banks[0])

    before, after, own = passed(backbone, fill, "output", pool="bank", banked=2)
    assert torch.allclose(after[:, own.text], banks[0][:, own.video], atol=1e-6)
    assert torch.equal(after[:, own.text + 1 :], before[:, own.text + 1 :])


def test_nothing_stays_behind(backbone) -> None:
    traces = [(name, len(module._forward_hooks), sorted(vars(module))) for name, module in backbone.transformer.named_modules()]
    with pytest.raises(RuntimeError):
        passed(backbone, lambda edit, own: (_ for _ in ()).throw(RuntimeError("stopped")))
    assert traces == [(name, len(module._forward_hooks), sorted(vars(module))) for name, module in backbone.transformer.named_modules()]
