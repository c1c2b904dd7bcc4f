"""A clip of the subject in one picture from its request, end to end: what is shown, what is refused, what is left off."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.backbones import open_store
from pipelines.errors import UserError
from pipelines.events import Preview, Progress, Result
from pipelines.files import Files
from pipelines.methods import planner, run
from pipelines.methods.face_identity.loop import Drawn
from pipelines.methods.generate.request import GenerateRequest
from pipelines.methods.zero_shot_subject.adapters import find_adapter, made_for
from pipelines.methods.zero_shot_subject.loop import SubjectSettings, draw_subject, guided
from pipelines.methods.zero_shot_subject.picture import reference_of
from pipelines.methods.zero_shot_subject.plan import plan, prompt_of
from pipelines.methods.zero_shot_subject.reference_stream import predict
from pipelines.methods.zero_shot_subject.request import SubjectRequest
from pipelines.methods.zero_shot_subject.weights import look
from pipelines.methods.zero_shot_subject.words import named
from pipelines.models.registry import entry

PROMPT = "a red star over the grass"
SETTINGS = {"prompt": PROMPT, "seed": 3, "width": 48, "height": 32, "frames": 9, "fps": 8, "steps": 4, "guidance": 3.0}


def drawn(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, write_adapter) -> Files:
    """A place with pictures and adapters."""
    root = tmp_path_factory.mktemp("mine")
    for name, size in {"square": (96, 96), "tall": (144, 64), "tiny": (20, 20)}.items():
        Image.fromarray(drawn(*size)).save(root / f"{name}.png")
    Image.fromarray(drawn(96, 96, 1)).save(root / "other.png")
    Image.fromarray(np.dstack([drawn(96, 96), np.zeros((96, 96), np.uint8)])).save(root / "clear.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    Image.fromarray(drawn(64, 144)).save(root / "turned.png", exif=turned)
    (root / "text.png").write_text("no picture")
    Image.new("1", (10_000, 7_000)).save(root / "huge.png")
    write_adapter(root / "subject.safetensors")
    return Files(root)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    return open_store(tmp_path_factory.mktemp("home"), "cpu")


@pytest.fixture
def ask(tiny_cogvideox_folder: Path, one_thread):
    """A request for the tiny model."""

    def asked(**values) -> SubjectRequest:
        base = {"model": str(tiny_cogvideox_folder), "image": "square.png", "adapter": "subject.safetensors", "class_word": "star"}
        return SubjectRequest.read(base | SETTINGS | values)

    return asked


def finish(events) -> Result:
    *_, last = events
    assert isinstance(last, Result)
    return last


def test_what_is_shown_of_a_subject(ask, store, files) -> None:
    *events, result = run(ask(), store, files)
    shown = [event for event in events if isinstance(event, Preview)]
    assert result.frames.shape == (9, 32, 48, 3) and result.values["prompt"] == "a red <cls> star over the grass"
    assert any("a red <cls> star" in note for note in result.notes) and any("trained on tiny" in note for note in result.notes)
    assert shown[0].name == "reference" and shown[0].array.shape == (1, 32, 48, 3)
    assert [event.step for event in shown[1:]] == [0, 1, 2, 3]
    steps = [event for event in events if isinstance(event, Progress) and event.phase == "denoising"]
    assert [event.step for event in steps] == [0, 1, 2, 3, 4] and steps[-1].seconds_left == 0 < steps[1].seconds_left
    assert result.request.seed == 3 and result.request.prompt == PROMPT


def test_previews_come_as_often_as_asked(ask, store, files) -> None:
    for every, steps in ((0, []), (3, [2, 3]), (100, [3])):
        shown = [event.step for event in run(ask(preview_every=every), store, files) if isinstance(event, Preview)]
        assert shown[1:] == steps


def test_the_same_request_gives_the_same_clip_and_the_picture_decides(ask, store, files) -> None:
    first, again, other = (finish(run(ask(image=image), store, files)).frames for image in ("square.png", "square.png", "other.png"))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_without_picture_and_adapter_it_is_plain_generation(ask, store, files, tiny_cogvideox_folder) -> None:
    alone = finish(run(ask(use_reference=False, strength=0, image="", class_word=""), store, files))
    plain = finish(run(GenerateRequest.read(SETTINGS | {"model": str(tiny_cogvideox_folder)}), store, files))
    assert np.array_equal(alone.frames, plain.frames)
    assert sum("no effect" in note for note in alone.notes) == 2
    for values in ({"use_reference": False}, {"strength": 0}, {}):
        assert not np.array_equal(finish(run(ask(**values), store, files)).frames, plain.frames)


@torch.no_grad()
def test_guidance_sees_the_reference_in_both_halves(cogvideox) -> None:
    texts = dict(zip(("unconditional", "conditional"), cogvideox.encode_text(["", "a red star"]).split(1), strict=True))
    latents, reference = cogvideox.initial_noise(9, 32, 48, 0), cogvideox.encode_video(drawn(32, 48)[None])
    step = torch.tensor(700)
    u, c = (predict(cogvideox, latents, step, text, reference) for text in texts.values())
    assert torch.allclose(guided(cogvideox, latents, step, texts, 3.0, reference), u + 3 * (c - u), atol=1e-3)
    assert torch.equal(guided(cogvideox, latents, step, texts, 1.0, reference), c)
    blind = guided(cogvideox, latents, step, texts, 3.0, None)
    assert torch.equal(blind, cogvideox.guided(latents, step, texts["conditional"], texts["unconditional"], 3.0))


@torch.no_grad()
def test_the_loop_ends_with_latents_of_the_clip(cogvideox) -> None:
    settings = SubjectSettings("a star", frames=9, height=32, width=48, steps=2)
    *_, last = draw_subject(cogvideox, cogvideox.encode_video(drawn(32, 48)[None]), settings)
    assert isinstance(last, Drawn) and last.latents.shape == cogvideox.initial_noise(9, 32, 48, 0).shape


def test_closing_cancels_and_leaves_the_model_as_it_was(ask, store, files, tiny_cogvideox_folder) -> None:
    with store.use(str(tiny_cogvideox_folder)) as backbone:
        modules = [id(module) for module in backbone.transformer.modules()]
        weights = {name: value.clone() for name, value in backbone.transformer.state_dict().items()}
    events = run(ask(), store, files)
    assert next(event.step for event in events if isinstance(event, Preview) and event.name == "denoised") == 0
    events.close()
    with store.use(str(tiny_cogvideox_folder)) as backbone:
        assert [id(module) for module in backbone.transformer.modules()] == modules
        assert all(torch.equal(value, weights[name]) for name, value in backbone.transformer.state_dict().items())
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in backbone.transformer.modules())


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"image": ""}, "No picture"),
        ({"image": "missing.png"}, "missing.png cannot be read"),
        ({"image": "text.png"}, "text.png cannot be read as a picture"),
        ({"image": "tiny.png"}, "only 20 x 20 px"),
        ({"image": "huge.png"}, "too large"),
        ({"image": "../square.png"}, "not one of yours"),
        ({"adapter": ""}, "No adapter"),
        ({"adapter": "nothing.safetensors"}, "no adapter nothing"),
        ({"adapter": "text.png"}, "cannot be read as safetensors"),
        ({"adapter": "disentangled-subject"}, "made for cogvideox-5b"),
        ({"class_word": "dog"}, "does not speak of the dog"),
        ({"prompt": " "}, "prompt is empty"),
        ({"model": "playground-wan"}, "CogVideoX family"),
        ({"model": "ltx-video"}, "CogVideoX family"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(ask, store, files, values, says) -> None:
    with pytest.raises(UserError, match=says) as refused:
        list(run(ask(**values), store, files))
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


def test_adapters_that_are_not_here_say_where_they_belong(store, files, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path))
    request = SubjectRequest.read(
        {"model": "cogvideox-5b", "prompt": "a star", "class_word": "star", "image": "square.png", "adapter": "disentangled-subject"}
    )
    with pytest.raises(UserError, match=r"put its file into .*disentangled-subject") as refused:
        list(run(request, store, files))
    assert not made_for("cogvideox-5b")
    folder = Path(str(refused.value).rpartition("into ")[2].rstrip("."))
    folder.mkdir(parents=True)
    shutil.copy(files.find("subject.safetensors"), folder / "pytorch_lora_weights_transformer.safetensors")
    assert [adapter.name for adapter in made_for("cogvideox-5b")] == ["disentangled-subject"]
    assert look(find_adapter("disentangled-subject", files)).rank == 4


def test_an_adapter_of_another_depth_leaves_the_model_alone(ask, store, files, tiny_cogvideox_folder) -> None:
    from safetensors.torch import load_file, save_file

    values = load_file(files.find("subject.safetensors"))
    save_file({name: value for name, value in values.items() if "blocks.2." not in name}, files.find("shallow.safetensors"))
    with pytest.raises(UserError, match="another model"):
        list(run(ask(adapter="shallow.safetensors"), store, files))
    with store.use(str(tiny_cogvideox_folder)) as backbone:
        assert not getattr(backbone.transformer, "peft_config", None)


# --- picture and prompt ----------------------------------------------------------------------------------------------


def test_the_whole_picture_or_its_middle(files) -> None:
    whole, middle = (reference_of(files.find("tall.png"), 32, 48, how) for how in ("letterbox", "crop"))
    assert whole.shape == middle.shape == (32, 48, 3)
    assert (whole[:, :16] == 255).all() and (whole[:, -16:] == 255).all() and not (whole[:, 20:28] == 255).all((0, 2)).any()
    assert not (middle == 255).all((0, 2)).any()
    square = reference_of(files.find("square.png"), 32, 32, "letterbox")
    assert np.array_equal(square, reference_of(files.find("square.png"), 32, 32, "crop"))


def test_pictures_are_upright_and_clear_ones_white(files) -> None:
    upright = reference_of(files.find("turned.png"), 64, 64, "letterbox")
    assert (upright[:, :14] == 255).all() and not (upright[0] == 255).all()
    assert (reference_of(files.find("clear.png"), 32, 32, "crop") == 255).all()


@pytest.mark.parametrize(
    ("prompt", "word", "read"),
    [
        ("a star in the snow", "star", "a <cls> star in the snow"),
        ("a <cls> star in the snow", "star", "a <cls> star in the snow"),
        ("A Star, a star", "star", "A <cls> Star, a star"),
        ("starfish and a star", "star", "starfish and a <cls> star"),
        ("a toy star (1+1)", "toy star", "a <cls> toy star (1+1)"),
        ("a star", "dog", "a star"),
        ("a star", " ", "a star"),
        (r"a st\1ar", r"st\1ar", r"a <cls> st\1ar"),
    ],
)
def test_where_the_subject_is_said_to_be(prompt: str, word: str, read: str) -> None:
    assert named(prompt, word) == read


def test_a_prompt_that_does_not_name_the_subject_is_noted(ask, tiny_cogvideox_folder) -> None:
    model = entry(str(tiny_cogvideox_folder))
    assert any("whom the picture shows" in note for note in plan(ask(class_word=""), model).notes)
    marked = ask(class_word="", prompt="a <cls> star")
    assert prompt_of(marked) == marked.prompt and not plan(marked, model).notes


def test_looking_at_a_picture_is_estimated_longer(ask) -> None:
    request = ask(width=192, height=192, frames=33, steps=100)
    planning, model = planner(request), entry(request.model)
    with_it, without = (
        planning.estimate(request.model_copy(update={"use_reference": value}), model, True).seconds for value in (True, False)
    )
    assert with_it > without > 0


def test_the_request_travels(ask) -> None:
    from pipelines.requests import Request

    request = ask(strength=0.5, fit="crop")
    assert Request.from_json(request.to_json()) == request
