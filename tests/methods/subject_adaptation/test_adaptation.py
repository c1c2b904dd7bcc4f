"""Adaptation: goes on as if never stopped, learns in the adapter and the word alone, and leaves the model as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipelines.errors import UserError
from pipelines.events import Preview, Progress
from pipelines.methods.subject_adaptation.subject import (
    ADAPTER,
    Subject,
    adapted,
    in_prompt,
    read_references,
    read_subject,
    read_token,
    token_of,
    write_card,
)
from pipelines.methods.subject_adaptation.train import Plan, adapt, rank_of

PLAN = Plan(steps=4, batch=2, rate=1e-2, token_rate=1e-2, height=32, width=32, loss_every=1)


@pytest.fixture
def subject() -> Subject:
    return Subject(name="Rex", class_word="ball", token="<rex>", model="tiny", rank=4, alpha=4)


@pytest.fixture
def pictures() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(3)]


def weights(backbone) -> dict[str, torch.Tensor]:
    parts = (backbone.transformer, backbone.pipeline.text_encoder, backbone.vae)
    return {f"{n}.{name}": value.clone() for n, part in enumerate(parts) for name, value in part.state_dict().items()}


def predict(backbone, prompt: str) -> torch.Tensor:
    latents = backbone.initial_noise(1, 32, 32, 0)
    with torch.no_grad():
        return backbone.denoise(latents, torch.tensor(500), backbone.encode_text([prompt]))


def fail(*_: object) -> None:
    raise RuntimeError("out of memory")


def test_stopped_and_gone_on_with_is_the_same_as_not_stopped(backbone, subject, pictures, tmp_path: Path) -> None:
    whole = list(adapt(backbone, subject, pictures, tmp_path / "whole", PLAN))
    parts = adapt(backbone, subject, pictures, tmp_path / "parts", PLAN)
    for event in parts:
        if isinstance(event, Preview) and event.step == 2:
            parts.close()
    assert read_subject(tmp_path / "parts").steps == 2  # stopped and kept
    list(adapt(backbone, subject, pictures, tmp_path / "parts", PLAN))
    first, second = (read_subject(tmp_path / name) for name in ("whole", "parts"))
    assert first == second and first.steps == 4 and len(first.losses) == 4
    assert torch.equal(read_token(tmp_path / "whole", subject), read_token(tmp_path / "parts", subject))
    adapters = [load_file(tmp_path / name / ADAPTER) for name in ("whole", "parts")]
    assert all(torch.equal(value, adapters[1][name]) for name, value in adapters[0].items())
    curves = [event.array for event in whole if isinstance(event, Preview)]
    assert [len(curve) for curve in curves] == [1, 2, 3, 4]
    last = [event for event in whole if isinstance(event, Progress)][-1]
    assert (last.step, last.total) == (4, 4) and last.seconds_left == 0


def test_the_model_is_as_it_was_after_the_end_a_stop_and_an_error(backbone, subject, pictures, tmp_path: Path, monkeypatch) -> None:
    before, modules = weights(backbone), {name: id(module) for name, module in backbone.transformer.named_modules()}
    list(adapt(backbone, subject, pictures, tmp_path / "a", PLAN))
    events = adapt(backbone, subject, pictures, tmp_path / "b", PLAN)
    next(event for event in events if isinstance(event, Preview))
    events.close()
    with pytest.raises(RuntimeError, match="out of memory"):
        for event in adapt(backbone, subject, pictures, tmp_path / "c", PLAN):
            if isinstance(event, Preview):
                handle = backbone.transformer.register_forward_hook(fail)
    handle.remove()
    after = weights(backbone)
    assert before.keys() == after.keys() and all(torch.equal(value, after[name]) for name, value in before.items())
    assert {name: id(module) for name, module in backbone.transformer.named_modules()} == modules


def test_a_subject_is_used_and_gone_again(backbone, subject, pictures, tmp_path: Path) -> None:
    list(adapt(backbone, subject, pictures, tmp_path, PLAN))
    prompt = "a <rex> ball rolls"
    before = predict(backbone, prompt)
    with adapted(backbone, tmp_path, "tiny") as known:
        assert known.steps == 4
        assert not torch.allclose(predict(backbone, prompt), before)
    assert torch.equal(predict(backbone, prompt), before)
    assert len(read_references(tmp_path)) == 3 and np.array_equal(read_references(tmp_path)[0], pictures[0])


def test_more_steps_go_on_where_the_training_ended(backbone, subject, pictures, tmp_path: Path) -> None:
    list(adapt(backbone, subject, pictures, tmp_path, PLAN))
    first = read_subject(tmp_path).losses
    list(adapt(backbone, subject, pictures, tmp_path, Plan(**{**vars(PLAN), "steps": 6})))
    assert read_subject(tmp_path).steps == 6 and read_subject(tmp_path).losses[:4] == first


def test_the_query_is_left_alone_unless_asked_for(backbone, subject, pictures, tmp_path: Path) -> None:
    list(adapt(backbone, subject, pictures, tmp_path / "kvo", PLAN))
    list(adapt(backbone, subject.model_copy(update={"adapts": ("query", "key", "value", "output")}), pictures, tmp_path / "qkvo", PLAN))
    assert not any(".to_q." in name for name in load_file(tmp_path / "kvo" / ADAPTER))
    assert any(".to_q." in name for name in load_file(tmp_path / "qkvo" / ADAPTER))


def test_samples_show_what_was_learnt_so_far(backbone, subject, pictures, tmp_path: Path) -> None:
    plan = Plan(**{**vars(PLAN), "sample_every": 2, "sample_prompt": "a <rex> ball"})
    samples = [event.array for event in adapt(backbone, subject, pictures, tmp_path, plan) if getattr(event, "name", "") == "sample"]
    assert len(samples) == 2 and samples[0].shape == (1, 32, 32, 3)


def test_a_subject_of_another_model_and_damaged_folders_are_sentences(backbone, subject, pictures, tmp_path: Path) -> None:
    list(adapt(backbone, subject, pictures, tmp_path, PLAN))
    with pytest.raises(UserError, match="made on tiny"), adapted(backbone, tmp_path, "other"):
        pass
    for name in (ADAPTER, "token.safetensors", "subject.json"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(UserError), adapted(backbone, tmp_path, "tiny"):
            pass
        (tmp_path / name).unlink()
        with pytest.raises(UserError), adapted(backbone, tmp_path, "tiny"):
            pass
        (tmp_path / name).write_bytes(content)


def test_prompts_speak_of_the_subject(subject) -> None:
    assert in_prompt("a <rex> ball rolls", subject) == "a <rex> ball rolls"
    assert in_prompt("a Ball rolls over a ball", subject) == "a <rex> ball rolls over a ball"
    with pytest.raises(UserError, match="<rex> ball"):
        in_prompt("a football", subject)


def test_names_become_words(subject, tmp_path: Path) -> None:
    assert token_of("Rex 2") == "<rex-2>"
    for name in ("", "../x", "a/b", "x" * 41, "é"):
        with pytest.raises(UserError):
            token_of(name)
    write_card(tmp_path, subject)
    assert read_subject(tmp_path) == subject


def test_the_rank_goes_with_the_width(wan) -> None:
    assert rank_of(wan) == 4
