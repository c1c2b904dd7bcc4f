"""Face packs: what the detector learns is what insightface reads, the margin is ArcFace's, a stopped training goes on."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.playground.people.identity import identity
from pipelines.playground.scene import HELD_OUT_IDENTITIES, TRAIN_IDENTITIES, TRAIN_SEEDS
from pipelines.playground.train.curve import read_losses
from pipelines.playground.train.export import place
from pipelines.playground.train.faces import detector as detection
from pipelines.playground.train.faces import pictures as rendered
from pipelines.playground.train.faces.detector import Detector, assign, detection_loss, places, train_detector
from pipelines.playground.train.faces.export import export_detector, export_recogniser
from pipelines.playground.train.faces.networks import Convolutional, Tokens
from pipelines.playground.train.faces.packs import DETECTOR, FARTHEST, see
from pipelines.playground.train.faces.pictures import FacePictures
from pipelines.playground.train.faces.recogniser import Crops, margin_loss, train_recogniser
from pipelines.playground.train.faces.scenes import FaceScenes, mirror
from pipelines.playground.train.faces.traits import standard_traits
from pipelines.playground.train.run import Budget


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> FacePictures:
    """Four people in one scene each, and three scenes of toys, rendered and read back."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PEOPLE": 4, "SCENES": 1, "TOYS": 3, "SIZES": {(48, 48): 0.5, (48, 64): 0.5}}.items():
            patch.setattr(rendered, name, value)
        cache = FacePictures(tmp_path_factory.mktemp("cache"), 4)
        cache.render_missing(1)
        return cache.read()


def test_the_cache_holds_people_with_faces_and_toys_without(pictures: FacePictures) -> None:
    assert pictures.people.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, -1, -1, -1]
    shown = pictures.people >= 0
    assert np.isfinite(pictures.landmarks[shown]).all() and np.isnan(pictures.faces[~shown]).all()
    assert {picture.shape for picture in pictures.pixels} <= {(48, 48, 3), (48, 64, 3)}
    scene = rendered.scenes_of(0)[0]
    assert scene.seed in TRAIN_SEEDS and scene.subjects[-1].identity in TRAIN_IDENTITIES
    assert scene.subjects[-1].identity not in HELD_OUT_IDENTITIES


def test_a_face_in_a_mirror_has_its_left_eye_on_the_left(pictures: FacePictures) -> None:
    picture, box, marks = mirror(pictures.pixels[0], pictures.faces[0], pictures.landmarks[0])
    assert marks[0, 0] < marks[1, 0] and marks[3, 0] < marks[4, 0] and box[0] < box[2]
    again = mirror(picture, box, marks)
    for value, before in zip(again, (pictures.pixels[0], pictures.faces[0], pictures.landmarks[0]), strict=True):
        np.testing.assert_allclose(value, before, atol=1e-4)


def test_composed_pictures_show_faces_where_they_are_said_to_be(pictures: FacePictures) -> None:
    scenes = FaceScenes(pictures)
    for seed in range(20):
        canvas, boxes, marks = scenes.compose(np.random.default_rng(seed), 96)
        assert canvas.shape == (96, 96, 3) and len(boxes) == len(marks) <= 4
        for box, points in zip(boxes, marks, strict=True):
            assert (points >= box[:2] - 1).all() and (points <= box[2:] + 1).all()
            x, y = points[2].round().astype(int)
            assert canvas[y, x].max() > 0, "there is a nose"


@pytest.mark.parametrize("size", [17, 20, 31, 45, 64, 90, 150, 280])
def test_some_anchor_answers_for_a_face_of_any_size_anywhere(size: int) -> None:
    grid = places(320, 320)
    for corner in (0.0, 3.3, 9.0):
        box = torch.tensor([[corner, corner, corner + size, corner + size]])
        face, nearly = assign(box, grid)
        assert (face == 0).any() and not (nearly & (face == 0)).any()
        assert (grid[2][face == 0] / size).log2().abs().max() <= 0.61


def test_right_answers_cost_nothing_and_wrong_ones_something() -> None:
    grid, box, marks = places(96, 128), torch.tensor([[20.0, 10, 70, 80]]), torch.rand(1, 5, 2) * 40 + 25
    face, _ = assign(box, grid)
    centres, stride = grid[0], grid[1][:, None]
    right = [
        (face >= 0).float()[:, None],
        torch.cat([centres - box[0, :2], box[0, 2:] - centres], 1) / stride,
        (marks[0] - centres[:, None]).flatten(1) / stride,
    ]
    ends = [int((grid[1] == level).sum()) for level in detection.STRIDES]
    outputs = [part for kind in right for part in kind.split(ends)]
    assert detection_loss(tuple(outputs), [box], [marks], 96, 128) < 1e-4
    assert detection_loss(tuple(outputs), [box + 5], [marks], 96, 128) > 0.1
    assert detection_loss(tuple(outputs), [box[:0]], [marks[:0]], 96, 128) > 1


@torch.no_grad()
def test_insightface_reads_from_the_export_what_the_network_says(tmp_path: Path) -> None:
    from insightface.model_zoo import get_model

    torch.manual_seed(0)
    network = Detector().eval()
    torch.nn.init.normal_(network.head.weight, std=0.3)
    export_detector(network, tmp_path / "detector.onnx")
    scrfd = get_model(str(tmp_path / "detector.onnx"), providers=["CPUExecutionProvider"])
    picture = np.random.default_rng(0).integers(256, size=(96, 160, 3), dtype=np.uint8)
    scores, boxes, points = (np.concatenate(part) for part in scrfd.forward(picture, 0.0))
    pixels = (torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1)[None].float() - 127.5) / 128
    outputs, grid = network(pixels), places(96, 160)
    told = [torch.cat(outputs[kind * 3 : kind * 3 + 3]) for kind in range(3)]
    sides = told[1] * grid[1][:, None]
    corners = torch.cat([grid[0] - sides[:, :2], grid[0] + sides[:, 2:]], 1)
    marks = grid[0][:, None] + (told[2] * grid[1][:, None]).unflatten(1, (5, 2))
    np.testing.assert_allclose(scores, told[0], atol=5e-3)
    for read, said in ((boxes, corners), (points, marks)):
        assert read.shape == said.shape
        np.testing.assert_allclose(read, said, atol=0.01 * float(said.abs().max()))


@pytest.mark.parametrize("network", [Convolutional, Tokens])
@torch.no_grad()
def test_insightface_embeds_crops_as_the_network_does(network: type[torch.nn.Module], tmp_path: Path) -> None:
    from insightface.model_zoo import get_model

    torch.manual_seed(0)
    recogniser = network().eval()
    export_recogniser(recogniser, tmp_path / "recogniser.onnx")
    crops = list(np.random.default_rng(0).integers(256, size=(2, 112, 112, 3), dtype=np.uint8))
    read = get_model(str(tmp_path / "recogniser.onnx"), providers=["CPUExecutionProvider"]).get_feat(crops)
    said = recogniser(torch.from_numpy(np.stack(crops)[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 127.5 - 1)
    assert read.shape == (2, 512)
    assert torch.cosine_similarity(torch.from_numpy(read), said).min() > 0.999


def test_the_margin_by_hand() -> None:
    cosines, people = torch.tensor([[0.5, 0.2], [0.1, -0.3]]), torch.tensor([0, 1])
    expected = []
    for right, other in ((0.5, 0.2), (-0.3, 0.1)):
        farther = math.cos(math.acos(right) + 0.4)
        expected.append(math.log(1 + math.exp(30 * (other - farther))))
    assert margin_loss(cosines, people, 0.4, 30.0).item() == pytest.approx(sum(expected) / 2, rel=1e-5)
    plain = torch.nn.functional.cross_entropy(30 * cosines, people)
    assert margin_loss(cosines, people, 0.0, 30.0).item() == pytest.approx(plain.item(), rel=1e-4)


def test_the_margin_only_ever_makes_it_harder() -> None:
    right = torch.linspace(-1, 1, 101)
    cosines, people = torch.stack([right, torch.zeros(101)], 1), torch.zeros(101, dtype=torch.long)
    losses = torch.stack([margin_loss(row[None], people[:1], 0.4, 5.0) for row in cosines])
    easier = torch.stack([margin_loss(row[None], people[:1], 0.0, 5.0) for row in cosines])
    assert (losses > easier).all() and (losses.diff() < 1e-6).all()


def test_traits_tell_people_apart_and_are_standard() -> None:
    values = standard_traits(range(60))
    assert np.abs(values.mean(0)).max() < 1e-4 and np.isfinite(values).all()
    assert min(np.abs(values[a] - values[b]).max() for a in range(20) for b in range(a)) > 0.5
    assert identity(0) == identity(0)


def test_crops_are_those_of_insightface(pictures: FacePictures, monkeypatch: pytest.MonkeyPatch) -> None:
    from insightface.utils.face_align import norm_crop

    monkeypatch.setattr("pipelines.playground.train.faces.recogniser.JITTER", 0.0)
    ours = Crops(pictures).crop(np.random.default_rng(0), 2)
    theirs = norm_crop(pictures.pixels[2], pictures.landmarks[2].astype(np.float32))
    assert np.abs(ours.astype(int) - theirs.astype(int)).mean() < 0.5


def test_recognisers_are_shown_faces_as_the_detector_sees_them(pictures: FacePictures) -> None:
    """Key points move a little, as far as the detector errs, and only those of people."""
    seen = copy.deepcopy(pictures)
    see(seen, place("playground-faces") / DETECTOR)
    shown = pictures.people >= 0
    eyes = np.linalg.norm(pictures.landmarks[shown, 0] - pictures.landmarks[shown, 1], axis=1)
    moved = np.linalg.norm(seen.landmarks - pictures.landmarks, axis=2).mean(1)[shown] / eyes
    assert 0 < moved.mean() < 0.3 and moved.max() <= FARTHEST
    assert np.isnan(seen.landmarks[~shown]).all()


def test_crops_are_aligned_faces_of_people(pictures: FacePictures) -> None:
    crops, people = Crops(pictures).draw(np.random.default_rng(0), 6)
    assert crops.shape == (6, 3, 112, 112) and crops.abs().max() <= 1
    assert set(people.tolist()) <= {0, 1, 2, 3}


@pytest.mark.parametrize("what", ["detector", "recogniser", "second"])
def test_a_stopped_training_goes_on_to_the_same_losses(
    what: str, pictures: FacePictures, tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection, "PIXELS", 2 * 96**2)
    monkeypatch.setattr("pipelines.playground.train.faces.scenes.SIDES", {96: 1.0})

    def train(folder: Path, steps: int) -> dict[int, float]:
        budget = Budget(1, steps, say_every=1)
        torch.manual_seed(1)
        if what == "detector":
            train_detector(FaceScenes(pictures), folder, budget, "cpu", batch=1)
        else:
            network = Convolutional((8, 8, 16)) if what == "recogniser" else Tokens(32, 1)
            train_recogniser(network, pictures, folder, budget, "cpu", batch=1)
        return next(iter(read_losses(folder).values()))

    whole = train(tmp_path / "whole", 6)
    (tmp_path / "parts").mkdir()
    stop_after(monkeypatch, 3, lambda: train(tmp_path / "parts", 6))
    assert len(read_losses(tmp_path / "parts").popitem()[1]) == 3
    assert train(tmp_path / "parts", 6) == pytest.approx(whole, rel=1e-4)


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int, train) -> None:
    """Run `train`, whose checkpoint is written at each step, and break it off after `steps`."""
    from pipelines.playground.train.run import Run

    say = Run._say

    def say_and_stop(run: Run, losses: list[float]) -> None:
        say(run, losses)
        run.save()
        if run.step == steps:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_say", say_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train()
