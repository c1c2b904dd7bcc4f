"""Grid-Fill: what is given comes back to the bit, and training and inference show the network the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.methods.grid.fill import denoise, given_of, guided, token_times
from pipelines.methods.grid.layout import Layout
from pipelines.methods.grid.loop import DrawnGrid, GridSettings, draw_grid
from pipelines.methods.grid.prompt import Clause, GridPrompt
from pipelines.methods.grid_training.losses import fill_loss, masked_flow, noisy_grid

LAYOUT = Layout(2, 2)
PROMPT = GridPrompt(LAYOUT, "", tuple(map(Clause, ("a red ball", "rolls", "the sea", "snow"))))


def settings(**values) -> GridSettings:
    return GridSettings(PROMPT, **{"frames": 5, "height": 64, "width": 64, "steps": 3, "seed": 4} | values)


@pytest.fixture
def cells(wan) -> dict[int, torch.Tensor]:
    """Latents of two cells."""
    torch.manual_seed(0)
    return {0: torch.randn(1, 4, 2, 8, 8), 3: torch.randn(1, 4, 2, 8, 8)}


@torch.no_grad()
def test_with_nothing_given_the_model_is_told_one_time(wan) -> None:
    latents, timestep, text = wan.initial_noise(5, 64, 64, 0), torch.tensor(700), wan.encode_text(["a red ball", ""])
    missing = torch.ones(1, 1, 1, 16, 16, dtype=torch.bool)
    assert torch.allclose(denoise(wan, latents, timestep, text[:1], missing), wan.denoise(latents, timestep, text[:1]), atol=1e-5)
    ours = guided(wan, latents, timestep, text[:1], text[1:], 4.0, missing)
    assert torch.allclose(ours, wan.guided(latents, timestep, text[:1], text[1:], 4.0), atol=1e-4)


@pytest.mark.parametrize("watch", [0, 1])
def test_what_is_given_stays_to_the_bit_and_the_rest_is_drawn(wan, cells, watch: int) -> None:
    *events, drawn = draw_grid(wan, cells, settings(watch_every=watch))
    assert isinstance(drawn, DrawnGrid)
    found, alone = LAYOUT.cut(drawn.latents), LAYOUT.cut(list(draw_grid(wan, {}, settings()))[-1].latents)
    for number, cell in enumerate(found):
        assert torch.equal(cell, cells[number]) if number in cells else not torch.allclose(cell, alone[number], atol=1e-3)
    named = [event.name for event in events if hasattr(event, "array")]
    assert named.count("denoised") == 3 and named.count("leakage") == 3 * watch and named[0] == "mask"
    assert (drawn.leakage is not None) == bool(watch) and drawn.leak(settings()) == (0 if watch else None)
    assert not any(module._forward_hooks for module in wan.transformer.modules())


def test_the_scale_of_the_noise_counts(wan) -> None:
    first, second = (list(draw_grid(wan, {}, settings(noise_scale=scale)))[-1].latents for scale in (1.0, 0.9))
    assert not torch.allclose(first, second, atol=1e-2)


def test_training_shows_the_network_what_inference_shows_it(wan, cells) -> None:
    """Same latents, same token times, same words: both as the transformer is really given them."""
    seen = []

    def look(module, inputs, options) -> None:
        seen.append({name: value.detach().clone() for name, value in options.items() if isinstance(value, torch.Tensor)})

    handle = wan.transformer.register_forward_pre_hook(look, with_kwargs=True)
    list(draw_grid(wan, cells, settings(steps=1, guidance=1.0)))
    noise = wan.initial_noise(5, 64, 64, 4)
    given = given_of(LAYOUT, cells, noise)
    sigma = seen[0]["timestep"].max() / 1000
    torch.manual_seed(1)
    clean = given.clean + given.missing * torch.randn_like(noise)  # in training missing cells have a truth, which noise hides
    text = seen[0]["encoder_hidden_states"]
    fill_loss(wan, clean, given.missing, torch.zeros(1, 1, 2, 16, 16), noise, sigma[None], text)
    handle.remove()
    inference, training = seen
    assert torch.allclose(training["timestep"], inference["timestep"]) and training["encoder_hidden_states"].equal(text)
    assert sigma > 0.99 and torch.allclose(training["hidden_states"], inference["hidden_states"], atol=0.03)
    visible = (~given.missing).expand_as(noise)
    assert torch.equal(training["hidden_states"][visible], inference["hidden_states"][visible])


def test_noise_is_where_cells_are_missing_and_so_is_the_loss() -> None:
    torch.manual_seed(0)
    clean, noise = torch.randn(2, 4, 2, 8, 8), torch.randn(2, 4, 2, 8, 8)
    missing = torch.ones(2, 1, 1, 8, 8, dtype=torch.bool)
    missing[0, ..., :4, :4] = False
    sigma, cover = torch.tensor([0.25, 1.0]), torch.rand(2, 1, 2, 8, 8)
    noisy = noisy_grid(clean, missing, noise, sigma)
    assert torch.equal(noisy[0, ..., :4, :4], clean[0, ..., :4, :4]) and torch.equal(noisy[1], noise[1])
    assert torch.allclose(noisy[0, ..., 4:, :], 0.75 * clean[0, ..., 4:, :] + 0.25 * noise[0, ..., 4:, :])
    perfect = noise - clean
    wrong_inside = perfect + ~missing * 5.0
    assert masked_flow(wrong_inside, clean, noise, missing, cover) == 0
    even = torch.zeros_like(cover)
    assert masked_flow(perfect + missing * 2.0, clean, noise, missing, even).item() == pytest.approx(4.0)
    assert masked_flow(perfect + missing * 2.0, clean, noise, missing, cover).item() == pytest.approx(4.0)


def test_each_grid_of_a_batch_has_its_own_time(wan) -> None:
    missing = torch.ones(2, 1, 1, 16, 16, dtype=torch.bool)
    missing[1, ..., :8, 8:] = False
    told = token_times(wan, missing, torch.tensor([300.0, 600.0]), 2)
    assert told.shape == (2, 2 * 8 * 8) and (told[0] == 300).all()
    own = LAYOUT.tokens(2, 8, 8)
    assert (told[1, torch.from_numpy(own[1])] == 0).all() and (told[1, torch.from_numpy(np.concatenate([own[0], *own[2:]]))] == 600).all()
