"""Laws of the training of face adapters: what is packed is as if alone, what was interrupted as if not, and the base is never touched."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_faces import CHANNELS, adapter_for, conditions, face
from torch import Tensor

from pipelines.errors import UserError
from pipelines.events import Preview, Progress
from pipelines.faces.align import REFERENCE, REFERENCE_SIZE
from pipelines.methods.face_identity.condition import Condition
from pipelines.methods.face_identity.loop import FaceSettings
from pipelines.methods.face_identity.processors import identified
from pipelines.methods.face_identity.reference import features_of
from pipelines.methods.face_identity.weights import read_adapter
from pipelines.methods.face_training import playground, recorded
from pipelines.methods.face_training.latent_faces import SIDE, LatentRecogniser, aligned, placed
from pipelines.methods.face_training.packed import packed_faces
from pipelines.methods.face_training.pairs import Pair, RecordedPairs
from pipelines.methods.face_training.people import FIRST_IDENTITY, photographs_of, shots_of
from pipelines.methods.face_training.train import CHECKPOINT, Plan, Sitter, Training, train
from pipelines.methods.face_training.trial import figures_of
from pipelines.methods.face_training.words import captions
from pipelines.playground.people.identity import identity
from pipelines.playground.scene import TRAIN_IDENTITIES, TRAIN_SEEDS
from pipelines.playground.train.run import Budget
from pipelines.training.base import draw_level, frozen
from pipelines.training.packing import Sample, count_tokens, denoise_packed, fill, forward_packed, layout_of

SHAPES = ((3, 8, 12), (1, 8, 8), (1, 8, 8), (2, 4, 6))
PEOPLE = 3
STEPS = 6


def samples(wan) -> list[Sample]:
    generator = torch.Generator().manual_seed(0)
    latents = [torch.randn((1, 4, *shape), generator=generator) for shape in SHAPES]
    text = wan.encode_text(["a red ball", "", "a blue cube spins", "the sea"]).split(1)
    return [Sample(*parts) for parts in zip(latents, torch.tensor([900.0, 700, 300, 50]), text, strict=True)]


def faces(wan, adapter) -> list[Condition]:
    """Three people and nobody."""
    return [*(conditions(wan, adapter, seed).given for seed in (1, 2, 3)), conditions(wan, adapter).without]


def parts(conditions: list[Condition], kept: str) -> list[Condition]:
    return [Condition(one.tokens if "id" in kept else None, one.features if "ref" in kept else None) for one in conditions]


def packed_predictions(wan, adapter, given: list[Condition], shares: dict[str, Tensor] | None = None) -> list[Tensor]:
    layout = layout_of(wan, samples(wan))
    with packed_faces(wan, adapter, given, layout, shares):
        return forward_packed(wan, samples(wan), layout)


def alone(wan, adapter, given: list[Condition]) -> list[Tensor]:
    made = []
    for sample, condition in zip(samples(wan), given, strict=True):
        with identified(wan, adapter, [condition]):
            made.append(wan.denoise(*sample))
    return made


def close(one: Tensor, other: Tensor, limit: float = 1e-5) -> bool:
    return bool((one - other).norm() <= limit * other.norm() + 1e-9)


def state_of(wan) -> dict[str, Tensor]:
    parts = {"transformer": wan.transformer, "vae": wan.vae, "text": wan.pipeline.text_encoder}
    return {f"{part}.{name}": value.clone() for part, module in parts.items() for name, value in module.state_dict().items()}


def untouched(wan, before: dict[str, Tensor]) -> bool:
    after = state_of(wan)
    processors = {type(one).__name__ for one in wan.transformer.attn_processors.values()}
    clean = processors == {"WanAttnProcessor"} and not wan.transformer.gradient_checkpointing
    return clean and before.keys() == after.keys() and all(torch.equal(value, after[name]) for name, value in before.items())


class Album:
    """Pairs of a few people: each has latents of their own, which only who they are can tell."""

    def __init__(self, wan, plain: bool = False) -> None:
        self.wan, self.asked = wan, []
        self.faces = [face(seed) for seed in range(PEOPLE)]
        self.features = [None] * PEOPLE if plain else features_of(wan, [picture for _, picture in self.faces])
        self.text = wan.encode_text(["a red ball", "the sea"])

    def pack(self, seed: int, step: int, tokens: int, stills: float) -> list[Pair]:
        self.asked.append(stills)
        draw = np.random.default_rng((seed, step))
        pairs = (self._pair(draw, bool(draw.uniform() < stills)) for _ in count())
        return next(fill(pairs, tokens, lambda pair: count_tokens(self.wan, pair.latents)))

    def _pair(self, draw: np.random.Generator, still: bool) -> Pair:
        person, text = int(draw.integers(PEOPLE)), self.text[[int(draw.integers(2))]]
        shape = (1, 8, 8) if still else (2, 8, 12)
        latents = torch.randn(1, 4, 1, 1, 1, generator=torch.Generator().manual_seed(person)).expand(1, 4, *shape) * 2
        embedding, picture = torch.from_numpy(self.faces[person][0]), self.faces[person][1]
        return Pair(latents, text, embedding, self.features[person], picture, cover=torch.full((1, 1, *shape), 0.3))


def plan(**values) -> Plan:
    standard = {"budget": Budget(0, STEPS), "tokens": 60, "rate": 3e-3, "warm_steps": 1, "loss_every": 1, "seed": 3}
    return Plan(**(standard | values))


def losses(events) -> list[float]:
    return [event.array.tolist() for event in events if isinstance(event, Preview) and event.name == "loss"][-1]


# --- faces in packed sequences ---------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("kept", ["id and ref", "id", "ref"])
@pytest.mark.parametrize("arm", ["full", "lite"])
def test_packed_faces_are_as_if_alone(wan, arm: str, kept: str) -> None:
    if arm == "lite" and kept == "ref":
        kept = "id"
    adapter = adapter_for(wan, arm, reference=arm == "full")
    given = parts(faces(wan, adapter), kept)
    expected = alone(wan, adapter, given)
    for made, other, plain in zip(packed_predictions(wan, adapter, given), expected, denoise_packed(wan, samples(wan)), strict=True):
        assert close(made, other) and not close(made, plain, 1e-3)


def test_losses_and_gradients_of_the_adapter_are_the_same(wan) -> None:
    adapter = adapter_for(wan).requires_grad_(True)
    embeddings = torch.from_numpy(np.stack([face(seed)[0] for seed in range(4)]))
    features = [one.features for one in faces(wan, adapter)]
    wan.transformer.requires_grad_(False)
    gradients, found = [], []
    for predict in (packed_predictions, alone):
        given = [Condition(*parts) for parts in zip(adapter.resampler(embeddings).split(1), features, strict=True)]
        loss = torch.stack([made.square().mean() for made in predict(wan, adapter, given)]).sum()
        gradients.append(torch.autograd.grad(loss, list(adapter.parameters())))
        found.append(loss.detach())
    assert close(*found)
    assert all(close(one, other, 3e-5) for one, other in zip(*gradients, strict=True))


@torch.no_grad()
def test_a_share_of_0_is_a_sample_without_that_adapter(wan) -> None:
    adapter = adapter_for(wan)
    given = faces(wan, adapter)
    made = packed_predictions(wan, adapter, given, {"id": torch.tensor([1.0, 0, 0, 1]), "ref": torch.tensor([1.0, 1, 0, 0])})
    wanted = ["id and ref", "ref", "", "id"]
    for index, kept in enumerate(wanted):
        expected = alone(wan, adapter, parts(given, kept))[index] if kept else wan.denoise(*samples(wan)[index])
        assert close(made[index], expected), kept


@torch.no_grad()
def test_a_fresh_adapter_is_the_packed_base_and_nothing_is_left(wan) -> None:
    adapter, before = adapter_for(wan, alive=False), state_of(wan)
    given = faces(wan, adapter)
    assert all(map(torch.equal, packed_predictions(wan, adapter, given), denoise_packed(wan, samples(wan))))
    assert untouched(wan, before)
    with pytest.raises(ValueError, match="3 conditions"):
        packed_predictions(wan, adapter, given[:3])
    with pytest.raises(RuntimeError, match="memory"), packed_faces(wan, adapter, given, layout_of(wan, samples(wan))):
        raise RuntimeError("out of memory")
    assert untouched(wan, before)


# --- the training ----------------------------------------------------------------------------------------------------


def test_it_learns_who_it_is_and_the_base_stays(wan, tmp_path: Path) -> None:
    """The people's latents have nothing in common: whoever is not told who it is cannot do well."""
    before, adapter, album = state_of(wan), adapter_for(wan, alive=False), Album(wan)
    settings = plan(budget=Budget(0, 60), tokens=100, rate=1e-2, no_face=0.0, one_alone=0.0)
    first, mixed_up = loss_of(wan, adapter, album, settings, 0), loss_of(wan, adapter, album, settings, 1)
    assert first == pytest.approx(mixed_up)  # a fresh adapter looks at nobody
    album.asked.clear()
    events = list(train(wan, adapter, album, tmp_path, settings))
    assert album.asked == [1.0] * 24 + [settings.stills] * 36
    after, mixed_up = loss_of(wan, adapter, album, settings, 0), loss_of(wan, adapter, album, settings, 1)
    assert after < 0.8 * first and after < 0.9 * mixed_up
    assert len(losses(events)) == 60 and all(isinstance(event, Progress | Preview) for event in events)
    assert untouched(wan, before) and not any(parameter.requires_grad for parameter in adapter.parameters())


@torch.no_grad()
def loss_of(wan, adapter, album: Album, settings: Plan, shift: int) -> float:
    """Over the same few steps, faces moved on by `shift` people."""
    with frozen(wan.transformer):
        training = Training(wan, adapter, album, Path("/nowhere"), settings, Path("/nowhere"), None, None)
        found = []
        for step in range(1000, 1006):
            cases = [
                case._replace(embedding=turned[0], features=turned[1])
                for case in training.cases(step, 0.5)
                for turned in [moved(album, case, shift)]
            ]
            with ExitStack() as stack:
                found.append(training.module(cases, 0.0, stack).item())
    adapter.eval().requires_grad_(False)
    return float(np.mean(found))


def moved(album: Album, case, shift: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    own = next(index for index, known in enumerate(album.faces) if np.array_equal(known[1], case.pair.picture))
    other = (own + shift) % PEOPLE
    return torch.from_numpy(album.faces[other][0]), album.features[other]


def test_an_interrupted_training_goes_on_to_the_same_losses_and_weights(wan, tmp_path: Path) -> None:
    whole, halves = adapter_for(wan, alive=False), adapter_for(wan, alive=False)
    expected = losses(train(wan, whole, Album(wan), tmp_path / "whole", plan()))
    with closing(train(wan, halves, Album(wan), tmp_path / "halves", plan())) as events:
        next(event for event in events if isinstance(event, Progress) and event.step == 2)
    again = adapter_for(wan, alive=False)
    assert losses(train(wan, again, Album(wan), tmp_path / "halves", plan())) == expected
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())
    assert next(train(wan, again, Album(wan), tmp_path / "halves", plan())).step == STEPS  # nothing is left to do


def test_a_stop_and_an_error_keep_what_was_learnt_and_leave_the_base(wan, tmp_path: Path) -> None:
    before, adapter = state_of(wan), adapter_for(wan, alive=False)
    trained = {name: parameter.requires_grad for name, parameter in wan.transformer.named_parameters()}
    with closing(train(wan, adapter, Album(wan), tmp_path / "stopped", plan())) as events:
        next(event for event in events if isinstance(event, Progress) and event.step == 1)
    kept = read_adapter(tmp_path / "stopped", wan)
    assert kept.card == adapter.card and all(
        torch.equal(one, other) for one, other in zip(kept.parameters(), adapter.parameters(), strict=True)
    )
    assert untouched(wan, before)

    class Torn(Album):
        def pack(self, seed: int, step: int, tokens: int, stills: float) -> list[Pair]:
            if step == 2:
                raise OSError("the disk is gone")
            return super().pack(seed, step, tokens, stills)

    with pytest.raises(OSError, match="disk"):
        list(train(wan, adapter, Torn(wan), tmp_path / "torn", plan(checkpointing=True)))
    assert untouched(wan, before) and (tmp_path / "torn" / CHECKPOINT).exists()
    assert trained == {name: parameter.requires_grad for name, parameter in wan.transformer.named_parameters()}


def test_what_is_saved_is_laid_out_as_released(wan, tmp_path: Path) -> None:
    list(train(wan, adapter_for(wan, alive=False), Album(wan), tmp_path / "out", plan(budget=Budget(0, 1)), work=tmp_path / "work"))
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"resampler.safetensors", "ip_layers.safetensors", "ref_layers.safetensors", "adapter.json"}
    assert [file.name for file in (tmp_path / "work").iterdir()] == [CHECKPOINT]


@pytest.mark.parametrize("parts", [{"identity": False}, {"reference": False}, {"arm": "lite", "reference": False}])
def test_adapters_of_one_part_can_be_trained(wan, tmp_path: Path, parts: dict) -> None:
    adapter = adapter_for(wan, alive=False, **parts)
    before = {name: value.clone() for name, value in adapter.state_dict().items()}
    list(train(wan, adapter, Album(wan), tmp_path, plan(budget=Budget(0, 2))))
    assert any(not torch.equal(value, adapter.state_dict()[name]) for name, value in before.items())


def test_features_made_on_the_way_and_checkpointed_blocks_change_nothing(wan, tmp_path: Path) -> None:
    expected = losses(train(wan, adapter_for(wan, alive=False), Album(wan), tmp_path / "a", plan()))
    made = losses(train(wan, adapter_for(wan, alive=False), Album(wan, plain=True), tmp_path / "b", plan(checkpointing=True)))
    assert made == pytest.approx(expected, rel=1e-2), "AdamW makes much of float noise in its first steps"


def test_conditions_and_words_are_left_out_as_often_as_said(wan, tmp_path: Path) -> None:
    settings = plan(no_face=0.25, no_text=0.4, one_alone=0.1, tokens=2000)
    with frozen(wan.transformer):
        training = Training(wan, adapter_for(wan), Album(wan), tmp_path, settings, tmp_path, None, None)
        cases = [case for step in range(3) for case in training.cases(step, 1.0)]
        again = training.cases(0, 1.0)
    nobody = [case for case in cases if not case.somebody]
    assert 0.17 < len(nobody) / len(cases) < 0.33
    assert all(not case.embedding.any() and case.features is training.nobody for case in nobody)
    assert 0.31 < np.mean([torch.equal(case.sample.text, training.wordless) for case in cases]) < 0.49
    assert 0.04 < np.mean([case.shares == (1.0, 0.0) for case in cases]) < 0.16
    assert 0.04 < np.mean([case.shares == (0.0, 1.0) for case in cases]) < 0.16
    assert all(torch.equal(one.sample.latents, other.sample.latents) for one, other in zip(again, cases, strict=False))
    for case in cases[:5]:
        clean, noise = case.level.split(case.target, case.sample.latents)
        assert torch.allclose(clean, case.pair.latents, atol=1e-4) and noise.std() == pytest.approx(1, abs=0.15)
        assert case.sample.timestep.item() == pytest.approx(1000 * case.level.noise)


def test_noise_levels_are_logit_normal_and_shifted() -> None:
    draw = np.random.default_rng(0)
    plain, shifted = (np.array([draw_level(draw, shift) for _ in range(2000)]) for shift in (1.0, 3.0))
    assert np.median(plain) == pytest.approx(0.5, abs=0.03) and np.median(shifted) == pytest.approx(0.75, abs=0.03)
    assert plain.min() > 0 and shifted.max() < 1


def test_an_adapter_for_another_model_is_refused(wan, cogvideox, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Wan family"):
        list(train(cogvideox, adapter_for(wan), Album(wan), tmp_path, plan()))


def test_samples_are_drawn_on_the_way(wan, tmp_path: Path) -> None:
    settings = FaceSettings("a ball", frames=5, height=32, width=32, steps=2)
    sitter, before = Sitter(*face(), settings), state_of(wan)
    events = list(train(wan, adapter_for(wan, alive=False), Album(wan), tmp_path, plan(sample_every=3), sitter=sitter))
    drawn = [event for event in events if isinstance(event, Preview) and event.name == "sample"]
    assert [event.step for event in drawn] == [3, 6] and drawn[0].array.shape == (5, 32, 32, 3)
    assert untouched(wan, before)


# --- the direct identity loss ----------------------------------------------------------------------------------------


def test_latents_are_looked_at_where_the_face_is() -> None:
    """Key points painted into latents come to lie where a reference picture has them."""
    landmarks = (REFERENCE - 128) @ np.array(((0.19, 0.05), (-0.05, 0.19))) + np.array((30.0, 34.0))  # in pixels of a 64 x 72 frame
    y, x = np.mgrid[:16, :18]
    at = (landmarks + 0.5) / 4 - 0.5
    spots = np.stack([np.exp(-((x - column) ** 2 + (y - row) ** 2)) for column, row in at]).astype(np.float32)
    places = placed(torch.from_numpy(landmarks[None].astype(np.float32)), (1, 16, 18), (64, 72))
    view = aligned(torch.from_numpy(spots)[None, :, None], places)[0]
    assert view.shape == (5, SIDE, SIDE)
    rows, columns = np.unravel_index(view.flatten(1).argmax(1), (SIDE, SIDE))
    wanted = (REFERENCE + 0.5) * SIDE / REFERENCE_SIZE - 0.5
    assert np.abs(np.stack([columns, rows], 1) - wanted).max() <= 1


def test_latent_frames_stand_for_several() -> None:
    moving = torch.from_numpy(REFERENCE.astype(np.float32))[None] / 4 + torch.arange(9.0)[:, None, None]
    places = placed(moving, (3, 16, 16), (64, 64))
    assert torch.allclose((places[:, :, 2] - places[0, :, 2])[:, 0], torch.tensor([0, 2.5, 6.5]) * 2 / 64, atol=1e-3)


def test_the_identity_loss_asks_only_where_a_face_can_be_seen() -> None:
    torch.manual_seed(0)
    seer = LatentRecogniser(4).eval().requires_grad_(False)
    estimate, places = torch.randn(1, 4, 2, 16, 16, requires_grad=True), torch.eye(2, 3).expand(2, 2, 3)
    wanted = seer(aligned(estimate, places))[0].detach()
    assert seer.disagreement(estimate, 0.9, places, wanted) == 0
    near, far = (seer.disagreement(estimate, level, places, wanted) for level in (0.2, 0.6))
    assert near > 0 and far.item() == pytest.approx(near.item() / 2)
    near.backward()
    assert estimate.grad.abs().sum() > 0
    assert seer.disagreement(estimate[:, :, :1], 0.0, places[:1], wanted).item() == pytest.approx(0, abs=1e-5)


def test_it_counts_in_the_beginning(wan, tmp_path: Path) -> None:
    asked = []

    class Placed(Album):
        def _pair(self, draw: np.random.Generator, still: bool) -> Pair:
            pair = super()._pair(draw, still)
            return replace(pair, places=torch.eye(2, 3).expand(pair.latents.shape[2], 2, 3))

    def strict(estimate: Tensor, level: float, places: Tensor, embedding: Tensor) -> Tensor:
        asked.append((level, len(places), embedding.shape))
        return estimate.square().mean()

    list(train(wan, adapter_for(wan), Placed(wan), tmp_path, plan(identity=0.5, identity_until=0.5, no_face=0.0), identity_loss=strict))
    first = len(asked)
    assert first > 3 and all(shape == (CHANNELS,) for _, _, shape in asked)
    list(train(wan, adapter_for(wan), Placed(wan), tmp_path, plan(budget=Budget(0, STEPS + 1), identity=0.5), identity_loss=strict))
    assert len(asked) == first  # past half of the budget


# --- people of the world ---------------------------------------------------------------------------------------------


@pytest.fixture
def few(wan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> recorded.RecordedPeople:
    """Two people as a tiny model sees them."""
    monkeypatch.setattr(recorded, "CHUNK", 1)
    people = recorded.RecordedPeople(tmp_path, 2, wan, playground.eyes_for(32, "cpu"))
    assert [event.step for event in people.prepare()] == [0, 1, 2]
    return people


def test_pairs_of_the_world(few, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = RecordedPairs(few)
    for stills in (1.0, 0.0):
        pack, again = (pairs.pack(1, 2, 900, stills) for _ in range(2))
        assert [pair.kind for pair in pack] == [pair.kind for pair in again] and len(pack) > 1
        assert all(
            torch.equal(one.latents, other.latents) and torch.equal(one.text, other.text) for one, other in zip(pack, again, strict=True)
        )
        assert {pair.latents.shape[2] for pair in pack} == ({1} if stills else {5})
        assert sum(count_tokens(few.backbone, pair.latents) for pair in pack) <= 900
    pair = pack[0]
    assert pair.embedding.norm().item() == pytest.approx(1, abs=1e-4) and pair.text.shape[1] == few.backbone.text_length
    assert len(pair.features) == len(few.backbone.blocks()) and pair.features[0].shape[:2] == (1, 16)
    assert pair.cover.shape == (1, 1, *pair.latents.shape[2:]) and 0 < pair.cover.float().mean() < 0.8
    assert pair.places.shape == (5, 2, 3)
    drawn = [pairs.draw(np.random.default_rng(step), step % 2 == 0) for step in range(200)]
    assert {one.kind for one in drawn} == {"crop", "clip", "edited", "scene"}
    for one in drawn:
        shot, origin = pairs.facts[one.person].photographs[one.photograph]
        assert (shot == one.shot) == (one.kind != "scene") and (one.kind == "scene" or origin == {"clip": "plain"}.get(one.kind, one.kind))
        assert pairs.facts[one.person].similar[one.photograph, one.shot] >= 0.3
    with pytest.raises(ValueError, match="too unlike"):
        RecordedPairs(few, alike=1.01)
    before = [file.read_bytes() for file in sorted(few.folder.iterdir())]
    sorted(few.folder.iterdir())[1].unlink()
    again = recorded.RecordedPeople(few.folder.parents[1], 2, few.backbone, few.eyes)
    monkeypatch.setattr(
        recorded, "record", lambda person, *_: (_ for _ in ()).throw(AssertionError(person)) if person == 0 else record(person, *_)
    )
    list(again.prepare())
    assert [file.read_bytes() for file in sorted(few.folder.iterdir())] == before


record = recorded.record


def test_only_training_people_and_scenes_are_shown() -> None:
    for person in (0, 1, 4000):
        shots = shots_of(person)
        photographs = photographs_of(person, shots)
        scenes = [*(shot.scene for shot in shots), *(photograph.scene for photograph in photographs if photograph.scene)]
        assert {scene.subjects[-1].identity for scene in scenes} == {TRAIN_IDENTITIES[FIRST_IDENTITY + person]}
        assert all(scene.seed in TRAIN_SEEDS for scene in scenes)
        assert {photograph.origin for photograph in photographs} == {"plain", "crop", "edited"}
        for photograph in photographs:
            shown = shots[photograph.shot].scene
            if photograph.origin == "crop":
                assert photograph.scene.subjects == shown.subjects and photograph.scene.background != shown.background
            if photograph.origin == "edited":
                assert photograph.scene.subjects[-1].expression != shown.subjects[-1].expression


def test_a_cropped_face_is_that_of_the_first_frame() -> None:
    """In front of another place, the person is the same to the pixel."""
    shots = shots_of(2)
    shown = [shot.render() for shot in shots]
    cropped = next(one for one in photographs_of(2, shots) if one.origin == "crop" and one.shot == len(shots) - 1)
    plain = replace(shots[-1], scene=replace(shots[-1].scene, effects=()), side=cropped.side).render()
    inside = plain.masks[-1][0] > 0.999
    assert inside.sum() > 300 and np.abs(cropped.picture(shown)[inside].astype(int) - plain.frames[0][inside]).max() <= 1


def test_brief_captions_say_nothing_that_lasts() -> None:
    for person in range(30):
        for shot in shots_of(person):
            full, brief = captions(shot.scene, shot.frames > 1)
            who = identity(shot.scene.subjects[-1].identity)
            assert who.hair_colour in full and shot.scene.subjects[-1].clothes in brief
            assert not any(word in brief for word in ("hair", "beard", "glasses", "curls", "braids", "bun "))


def test_figures_compare_with_everybody_else() -> None:
    similar = np.array([[0.5, 0.1, 0.0], [0.4, 0.2, 0.1], [np.nan] * 3])
    found = figures_of(similar, [1.0, 1.0, 0.0])
    assert (found.own, found.other, found.nearest) == pytest.approx((0.35, 0.15, 1 / 3)) and found.found == pytest.approx(2 / 3)
    assert found.area == pytest.approx(7 / 8)


def test_the_whole_recipe_from_nothing(wan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(recorded, "CHUNK", 1)
    before, settings = state_of(wan), replace(playground.plan_for(0, 0), budget=Budget(0, 2), tokens=900, sample_every=0, loss_every=1)
    for _ in range(2):  # the second finds all done
        events = playground.train_playground(tmp_path / "out", tmp_path / "work", 0.001, people=2, plan=settings, backbone=wan)
        playground.report(events)
    assert "reading people" in capsys.readouterr().out
    adapter = read_adapter(tmp_path / "out", wan)
    assert (adapter.card.recogniser, adapter.card.crop, adapter.card.base) == ("playground-faces", 64, "playground-wan")
    assert untouched(wan, before)
