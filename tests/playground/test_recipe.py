"""The recipe: the autoencoder starts as it should, an interrupted training goes on as if it had not been, no word is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.playground.train.clips import WorldClips
from pipelines.playground.train.curve import read_losses
from pipelines.playground.train.latents import SUBJECTS, LatentWorld, cover, near_subjects
from pipelines.playground.train.run import Budget, Run
from pipelines.playground.train.tokenizer import new_tokenizer, world_words
from pipelines.playground.train.vae import new_vae, single_frames


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> WorldClips:
    world = WorldClips(tmp_path_factory.mktemp("world"), 8, (5, 16, 16))
    world.render_missing(1)
    return world


def test_rendered_clips_are_kept(clips: WorldClips) -> None:
    files = {file: file.stat().st_mtime_ns for file in clips.folder.iterdir()}
    clips.render_missing(1)
    assert files == {file: file.stat().st_mtime_ns for file in clips.folder.iterdir()}
    assert clips.frames(3).shape == (5, 16, 16, 3)
    assert clips.covers(3).shape == (5, 16, 16) and clips.covers(3).max() > 0


def test_a_latent_cell_is_covered_when_one_of_its_frames_is() -> None:
    """Of nine frames the first has a latent frame of its own, the others one for each four."""
    masks = np.zeros((9, 8, 8), np.uint8)
    masks[0, :4, :4] = masks[3, 4:, 4:] = 255
    seen = cover(masks, (3, 2, 2))
    assert seen.shape == (1, 3, 2, 2)
    assert seen[0].tolist() == [[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 0], [0, 0]]]


def test_errors_count_more_on_subjects_and_all_alike_without_one() -> None:
    error, covers = torch.tensor([[1.0, 0.0]]).view(1, 1, 1, 1, 2), torch.tensor([[1.0, 0.0]]).view(1, 1, 1, 1, 2)
    assert near_subjects(error, covers).item() == pytest.approx((1 + SUBJECTS) / (2 + SUBJECTS))
    assert near_subjects(error, 0 * covers).item() == pytest.approx(0.5)


def test_single_frames_come_from_their_own_sets(clips: WorldClips, tmp_path: Path) -> None:
    stills = WorldClips(tmp_path / "world", 8, (1, 16, 16), first=len(clips))
    stills.render_missing(1)
    world = LatentWorld([clips], lambda video: video[:, :, ::4, ::4, ::4], tmp_path / "latents", [stills])
    latents, covers, words, *_ = world.batch(0, 0, 1, single=False)
    assert latents.shape[2:] == covers.shape[2:] == (2, 4, 4) and len(latents) == len(words) == 16
    single, over, names, *_ = world.batch(0, 0, 1, single=True)
    assert single.shape[2:] == over.shape[2:] == (1, 4, 4) and len(single) == len(names) == 32
    drawn = {frame.numpy().tobytes() for frame in single}
    assert drawn <= {torch.from_numpy(latent.astype(np.float32)).numpy().tobytes() for latent in world.stills[0].latents}


@torch.no_grad()
def test_a_new_autoencoder_treats_each_frame_by_itself() -> None:
    """Before training, the latents of a clip of equal frames are equal, and those of its first frame alone."""
    torch.manual_seed(0)
    vae = new_vae()
    frame = torch.rand(1, 3, 1, 16, 16) * 2 - 1
    latents = vae.encode(frame.expand(-1, -1, 5, -1, -1)).latent_dist.mode()
    alone = vae.encode(frame).latent_dist.mode()
    assert torch.allclose(latents[:, :, :1], alone, atol=1e-4)
    assert (latents[:, :, 1:] - alone).abs().mean() < 0.2 * alone.abs().mean()


@torch.no_grad()
def test_single_frames_in_two_dimensions_are_the_same_numbers() -> None:
    torch.manual_seed(0)
    vae, frames = new_vae(), torch.rand(2, 3, 1, 16, 16)
    before = vae.decode(vae.encode(frames).latent_dist.mode()).sample
    with single_frames(vae):
        within = vae.decode(vae.encode(frames).latent_dist.mode()).sample
    assert torch.allclose(before, within, atol=1e-4)
    assert all("forward" not in vars(module) for module in vae.modules())


def train(folder: Path, *stops: int) -> tuple[list[float], torch.Tensor]:
    """A small regression, stopped and resumed at each of `stops` steps; its logged losses and last weights."""
    for steps in stops:
        torch.manual_seed(1)
        model = torch.nn.Linear(4, 1)
        optimiser = torch.optim.AdamW(model.parameters(), lr=0.05)
        run = Run(folder, "toy", {"model": model, "optimiser": optimiser}, Budget(1, steps, say_every=1), seed=3)

        def update(step: int, progress: float, model=model, optimiser=optimiser) -> float:
            inputs = torch.randn(16, 4)
            loss = (model(inputs) - inputs.sum(1, keepdim=True)).pow(2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            return loss.item()

        run.loop(update)
    return list(read_losses(folder)["toy"].values()), model.weight.detach()


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, weights = train(tmp_path / "a", 30)
    parts, again = train(tmp_path / "b", 11, 20, 30)
    assert whole == parts
    assert torch.equal(weights, again)


def test_every_word_of_the_world_is_one_token_and_none_is_refused() -> None:
    tokenizer = new_tokenizer()
    for word in world_words(500):
        assert len(tokenizer(word).input_ids) == 2, word
    unknown = tokenizer("Éclair ZEBRA 漢字 \N{ROCKET} " + "x" * 10_000, truncation=True).input_ids
    assert 2 < len(unknown) <= 64
    assert tokenizer("A RED Ball").input_ids == tokenizer("a red ball").input_ids


def test_the_tokenizer_survives_saving(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = new_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again("A Red ball, in the snow").input_ids == tokenizer("A Red ball, in the snow").input_ids
    assert np.array_equal(again("", padding="max_length", max_length=4).input_ids, [1, 0, 0, 0])
