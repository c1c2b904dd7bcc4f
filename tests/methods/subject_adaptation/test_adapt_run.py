"""Adapting from a request: events, notes about pictures, going on, and everything that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pipelines.errors import UserError
from pipelines.events import Preview, Progress, Result
from pipelines.files import Files
from pipelines.methods import planner, run
from pipelines.methods.subject_adaptation.request import PRESETS, AdaptRequest
from pipelines.methods.subject_adaptation.subject import ADAPTER, CARD, read_references, read_subject, write_card
from pipelines.methods.subject_adaptation.train import CHECKPOINT
from pipelines.models.registry import entry


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """Two different pictures, one of them twice, and a file that is none."""
    draw, names = np.random.default_rng(0), ["a.png", "b.png", "again.png", "notes.txt"]
    first, second = (draw.integers(0, 255, (64, 80, 3), dtype=np.uint8) for _ in range(2))
    for name, pixels in zip(names, (first, second, first), strict=False):
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    return names


def ask(model: Path, images: list[str], **values) -> AdaptRequest:
    settings = {"name": "Rex", "class_word": "ball", "steps": 4, "rank": 4, "width": 48, "height": 32}
    return AdaptRequest.read({"model": str(model), "folder": "subjects/rex", "images": images} | settings | values)


def test_a_subject_comes_out_and_bad_pictures_are_named(tiny_cogvideox_folder, store, images, tmp_path) -> None:
    events = list(run(ask(tiny_cogvideox_folder, images), store, Files(tmp_path)))
    assert isinstance(events[0], Progress) and isinstance(result := events[-1], Result)
    assert result.frames is None and result.values["steps"] == 4 and result.values["subject"] == "<rex>"
    assert [note.split()[0] for note in result.notes] == ["again.png", "notes.txt"]
    assert {event.name for event in events if isinstance(event, Preview)} == {"loss", "sample"}
    card = read_subject(tmp_path / "subjects" / "rex")
    assert (card.name, card.class_word, card.rank, card.steps) == ("Rex", "ball", 4, 4)
    assert card.adapts == ("key", "value", "output") and len(read_references(tmp_path / "subjects" / "rex")) == 2


def test_more_steps_go_on_from_where_it_was(tiny_wan_folder, store, images, tmp_path) -> None:
    list(run(ask(tiny_wan_folder, images), store, Files(tmp_path)))
    with pytest.raises(UserError, match="4 steps already"):
        list(run(ask(tiny_wan_folder, images), store, Files(tmp_path)))
    events = list(run(ask(tiny_wan_folder, images, steps=6), store, Files(tmp_path)))
    steps = [event.step for event in events if isinstance(event, Progress) and event.phase == "training"]
    assert steps == [4, 5, 6]


def test_a_renamed_subject_keeps_its_word_when_it_is_trained_further(tiny_wan_folder, store, images, tmp_path) -> None:
    list(run(ask(tiny_wan_folder, images), store, Files(tmp_path)))
    folder = tmp_path / "subjects" / "rex"
    write_card(folder, read_subject(folder).model_copy(update={"name": "Max"}))
    list(run(ask(tiny_wan_folder, images, name="Max", steps=5), store, Files(tmp_path)))
    card = read_subject(folder)
    assert (card.name, card.token, card.steps) == ("Max", "<rex>", 5)


def test_without_its_checkpoint_a_subject_goes_on_from_adapter_and_word(tiny_cogvideox_folder, store, images, tmp_path) -> None:
    list(run(ask(tiny_cogvideox_folder, images), store, Files(tmp_path)))
    folder = tmp_path / "subjects" / "rex"
    (folder / CHECKPOINT).unlink()
    before, losses = load_file(folder / ADAPTER), read_subject(folder).losses
    list(run(ask(tiny_cogvideox_folder, images, steps=5, rate=1e-6, token_rate=1e-6), store, Files(tmp_path)))
    after, card = load_file(folder / ADAPTER), read_subject(folder)
    assert card.steps == 5 and card.losses[: len(losses)] == losses
    assert all(torch.allclose(value, after[name], atol=1e-4) for name, value in before.items())


def test_a_start_that_failed_is_not_in_the_way_of_the_next(tiny_wan_folder, store, images, tmp_path) -> None:
    (tmp_path / "subjects" / "rex" / "references").mkdir(parents=True)
    for index in range(5):
        Image.new("RGB", (64, 64)).save(tmp_path / "subjects" / "rex" / "references" / f"{index:02d}.png")
    list(run(ask(tiny_wan_folder, images), store, Files(tmp_path)))
    assert len(read_references(tmp_path / "subjects" / "rex")) == 2


def test_another_subject_is_not_written_over(tiny_wan_folder, store, images, tmp_path) -> None:
    list(run(ask(tiny_wan_folder, images), store, Files(tmp_path)))
    before = (tmp_path / "subjects" / "rex" / CARD).read_bytes()
    for values in ({"name": "Max"}, {"class_word": "cube"}, {"rank": 8}, {"adapt_query": True}):
        with pytest.raises(UserError, match="made otherwise"):
            list(run(ask(tiny_wan_folder, images, steps=8, **values), store, Files(tmp_path)))
    assert (tmp_path / "subjects" / "rex" / CARD).read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="something else"):
        list(run(ask(tiny_wan_folder, images, folder="mine"), store, Files(tmp_path)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"images": []}, "no picture to learn from"),
        ({"images": ["notes.txt"]}, "notes.txt cannot be read"),
        ({"images": ["missing.png"]}, "missing.png cannot be read"),
        ({"class_word": " "}, "class word is empty"),
        ({"name": "../rex"}, "letters, digits"),
        ({"images": ["../../etc/passwd"]}, "not one of yours"),
        ({"folder": "../elsewhere"}, "not one of yours"),
        ({"sample_prompt": "a cube"}, "does not speak of Rex"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(tiny_wan_folder, store, images, tmp_path, values, words) -> None:
    root = tmp_path / "visitor"
    root.mkdir()
    for name in images:
        (tmp_path / name).rename(root / name)
    with pytest.raises(UserError, match=words):
        list(run(ask(tiny_wan_folder, values.pop("images", images), **values), store, Files(root)))
    assert not (root / "subjects" / "rex" / CARD).exists() and not (tmp_path / "elsewhere").exists()


def test_eleven_pictures_are_too_many(tiny_wan_folder, store, tmp_path) -> None:
    draw = np.random.default_rng(1)
    for index in range(11):
        Image.fromarray(draw.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f"{index}.png")
    with pytest.raises(UserError, match="keep the best 10"):
        list(run(ask(tiny_wan_folder, [f"{index}.png" for index in range(11)]), store, Files(tmp_path)))


def test_stopped_in_the_middle_keeps_what_was_learnt_and_leaves_the_model(tiny_wan_folder, store, images, tmp_path) -> None:
    with store.use(str(tiny_wan_folder)) as backbone:
        before = {name: value.clone() for name, value in backbone.transformer.state_dict().items()}
    events = run(ask(tiny_wan_folder, images, steps=50), store, Files(tmp_path))
    next(event for event in events if isinstance(event, Progress) and event.step == 2)
    events.close()
    assert read_subject(tmp_path / "subjects" / "rex").steps == 2
    with store.use(str(tiny_wan_folder)) as backbone:
        after = backbone.transformer.state_dict()
        assert before.keys() == after.keys() and all(torch.equal(value, after[name]) for name, value in before.items())


def test_rates_follow_the_width_except_in_the_papers_preset(tiny_wan_folder, store) -> None:
    from pipelines.methods.subject_adaptation.run import settings_of, subject_of

    model = entry(str(tiny_wan_folder))
    with store.use(model.name) as backbone:
        for preset in PRESETS:
            request = ask(tiny_wan_folder, ["a.png"], preset=preset, steps=0)
            plan = settings_of(request, subject_of(request, model, backbone), model, backbone)
            assert plan.steps == PRESETS[preset].steps and (plan.rate == 1e-4) == (preset == "paper")
        chosen = ask(tiny_wan_folder, ["a.png"], rate=0.01, token_rate=0.02)
        plan = settings_of(chosen, subject_of(chosen, model, backbone), model, backbone)
        assert (plan.rate, plan.token_rate) == (0.01, 0.02)


def test_the_estimate_grows_with_the_steps_and_requests_travel() -> None:
    model = entry("playground-wan")
    short, long = (ask(Path(model.name), ["a.png"], steps=steps) for steps in (1000, 2000))
    method = planner(short)
    assert method.estimate(long, model, True).seconds > 1.5 * method.estimate(short, model, True).seconds > 0
    assert AdaptRequest.from_json(long.to_json()) == long
    assert json.loads(long.to_json())["method"] == "adapt"
