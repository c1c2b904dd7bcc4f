"""Recognisers tell people apart, say what they are, and load what facexlib publishes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.errors import NotAvailable, UserError
from pipelines.faces import Detector, Recogniser, arcface_crop, choose, open_recogniser, pack, packs
from pipelines.faces.ir_se50 import IRSE50, TorchRecogniser, load_ir_se50
from pipelines.faces.packs import IR_SE50, IR_SE50_FILE, ir_se50_file
from pipelines.faces.recognise import PackRecogniser
from pipelines.playground.render import render
from pipelines.playground.scene import TRAIN_IDENTITIES, TRAIN_SEEDS, sample_scene
from pipelines.playground.train.faces.pictures import showing

PEOPLE = 12
OURS = ("playground-faces", "playground-faces-second")


@pytest.fixture(scope="module")
def pairs(detector: Detector) -> tuple[np.ndarray, np.ndarray]:
    """Two aligned crops (N, 112, 112, 3) of each of N people, in different scenes, light and expression."""

    def crop(person: int, scene: int) -> np.ndarray:
        drawn = showing(sample_scene(TRAIN_SEEDS[30_000 + scene], "person"), TRAIN_IDENTITIES[40_000 + person])
        picture = render(drawn, 1, 96, 96).frames[0]
        return arcface_crop(picture, choose(detector.detect(picture)).landmarks)

    return tuple(np.stack([crop(person, first + person) for person in range(PEOPLE)]) for first in (0, PEOPLE))


@pytest.mark.parametrize("name", OURS)
def test_the_same_person_is_nearer_than_another(name: str, pairs: tuple[np.ndarray, np.ndarray]) -> None:
    recogniser = open_recogniser(name, "cpu")
    first, second = (recogniser.embed(crops) for crops in pairs)
    likeness = first @ second.T
    same, different = np.diag(likeness), likeness[~np.eye(PEOPLE, dtype=bool)]
    assert same.mean() > different.mean() + 0.3
    assert (likeness.argmax(1) == np.arange(PEOPLE)).mean() >= 0.75


@pytest.mark.parametrize("name", OURS)
def test_vectors_have_length_one_whatever_is_shown(name: str) -> None:
    recogniser: Recogniser = open_recogniser(name, "cpu")
    assert (recogniser.name, recogniser.size) == (name, 112)
    crops = np.random.default_rng(0).integers(256, size=(3, 112, 112, 3), dtype=np.uint8)
    crops[1], crops[2] = 0, 255
    vectors = recogniser.embed(crops)
    assert vectors.shape == (3, 512) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert recogniser.embed(crops[:0]).shape == (0, 512)
    np.testing.assert_allclose(recogniser.embed(crops[:1]), vectors[:1], atol=1e-5)


def test_many_faces_are_embedded_as_one_by_one(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    recogniser = open_recogniser(OURS[0], "cpu")
    many = np.concatenate(pairs * 2)
    np.testing.assert_allclose(recogniser.embed(many)[:PEOPLE], recogniser.embed(pairs[0]), atol=1e-4)


@pytest.mark.parametrize(
    "crops", [np.zeros((2, 96, 96, 3), np.uint8), np.zeros((112, 112, 3), np.uint8), np.zeros((1, 112, 112, 3), np.float32)]
)
def test_what_is_no_crop_is_refused(crops: np.ndarray) -> None:
    with pytest.raises(ValueError, match="crops must be"):
        open_recogniser(OURS[0], "cpu").embed(crops)


# --- packs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any downloads; its folder for models."""
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "likeness"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "likeness" / "models"


def test_packs_say_their_licence_and_the_default_comes_with_the_project() -> None:
    assert [known.name for known in packs()] == [*OURS, "buffalo_l", "antelopev2"]
    assert pack() is packs()[0] and pack().here and not pack().for_scoring
    assert [known.for_scoring for known in packs()] == [False, True, False, False]
    for known in packs():
        assert known.licence.endswith(".") and ("non-commercial research" in known.licence) == (known.path is None)


@pytest.mark.parametrize("name", ["buffalo_l", "antelopev2"])
def test_a_pack_that_is_not_here_is_a_sentence_with_the_place(name: str, elsewhere: Path) -> None:
    assert not pack(name).here
    with pytest.raises(NotAvailable, match=f"{name}.*{elsewhere / name}"):
        open_recogniser(name, "cpu")
    assert not elsewhere.exists(), "nothing was fetched"


@pytest.mark.parametrize("inside", ["antelopev2", "antelopev2/antelopev2"])
@pytest.mark.parametrize("home", ["likeness/models", "home/.insightface/models"])
def test_a_pack_is_found_in_either_place_and_in_a_folder_of_its_name(home: str, inside: str, elsewhere: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(pack().find(), tmp_path / home / inside)
    assert pack("antelopev2").here and pack(" AntelopeV2 ").find() == folder
    assert open_recogniser("antelopev2", "cpu").name == "antelopev2"


def test_an_unknown_name_is_a_sentence() -> None:
    with pytest.raises(UserError, match="no face models called 'nobody': choose one of playground-faces"):
        open_recogniser("nobody")


def test_a_pack_without_a_recogniser_is_a_sentence(tmp_path: Path) -> None:
    shutil.copy(pack().find() / "detector.onnx", tmp_path)
    with pytest.raises(UserError, match="holds no recogniser"):
        PackRecogniser.open(tmp_path, "cpu")


# --- IR-SE50 -----------------------------------------------------------------------------------------------------------


def published() -> dict[str, tuple[int, ...]]:
    """Names and shapes in facexlib's file, written down from its architecture unit by unit."""
    shapes: dict[str, tuple[int, ...]] = {}

    def normalisation(name: str, width: int) -> None:
        shapes.update({f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.num_batches_tracked"] = ()

    shapes["input_layer.0.weight"], shapes["input_layer.2.weight"] = (64, 3, 3, 3), (64,)
    normalisation("input_layer.1", 64)
    widths = [64] * 4 + [128] * 4 + [256] * 14 + [512] * 3
    for number, (before, width) in enumerate(pairwise(widths)):
        unit = f"body.{number}"
        if before != width:
            shapes[f"{unit}.shortcut_layer.0.weight"] = (width, before, 1, 1)
            normalisation(f"{unit}.shortcut_layer.1", width)
        normalisation(f"{unit}.res_layer.0", before)
        shapes[f"{unit}.res_layer.1.weight"] = (width, before, 3, 3)
        shapes[f"{unit}.res_layer.2.weight"] = (width,)
        shapes[f"{unit}.res_layer.3.weight"] = (width, width, 3, 3)
        normalisation(f"{unit}.res_layer.4", width)
        shapes[f"{unit}.res_layer.5.fc1.weight"] = (width // 16, width, 1, 1)
        shapes[f"{unit}.res_layer.5.fc2.weight"] = (width, width // 16, 1, 1)
    normalisation("output_layer.0", 512)
    shapes["output_layer.3.weight"], shapes["output_layer.3.bias"] = (512, 512 * 7 * 7), (512,)
    normalisation("output_layer.4", 512)
    return shapes


@pytest.fixture(scope="module")
def network() -> IRSE50:
    """With random weights, and statistics as training leaves them."""
    torch.manual_seed(0)
    network = IRSE50().eval()
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.8, 1.2)
    return network


@pytest.fixture(scope="module")
def weights(network: IRSE50, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its weights in a file of 175 MB, as facexlib's was written: before torch wrote zip files."""
    file = tmp_path_factory.mktemp("weights") / IR_SE50_FILE
    torch.save(network.state_dict(), file, _use_new_zipfile_serialization=False)
    yield file
    file.unlink()


def sketch(file: Path, shapes: dict[str, tuple[int, ...]], **others: object) -> Path:
    """A small file of weights: every tensor is one number, repeated."""
    names = {name: torch.zeros(1).expand(shape) if shape else torch.zeros(()) for name, shape in shapes.items()}
    torch.save({**names, **others}, file)
    return file


def test_names_shapes_and_count_are_those_of_facexlib(network: IRSE50) -> None:
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == published()
    assert sum(value.numel() for value in network.parameters()) == 43_797_696


@torch.no_grad()
def test_the_places_of_each_stage(network: IRSE50, one_thread: None) -> None:
    x, seen = network.input_layer(torch.zeros(1, 3, 112, 112)), {}
    for number, part in enumerate(network.body):
        x = part(x)
        seen[number] = tuple(x.shape[1:])
    assert [seen[number] for number in (0, 2, 3, 6, 7, 20, 21, 23)] == [
        *[(64, 56, 56)] * 2, *[(128, 28, 28)] * 2, *[(256, 14, 14)] * 2, *[(512, 7, 7)] * 2,
    ]  # fmt: skip


def test_weights_go_to_a_file_and_back(network: IRSE50, weights: Path, one_thread: None) -> None:
    back = load_ir_se50(weights)
    for name, value in network.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name
    assert not back.training and not any(value.requires_grad for value in back.parameters())
    crops = np.random.default_rng(0).integers(256, size=(3, 112, 112, 3), dtype=np.uint8)
    vectors = TorchRecogniser(back).embed(crops)
    assert vectors.shape == (3, 512) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors, TorchRecogniser(network).embed(crops))
    assert TorchRecogniser(back).embed(crops[:0]).shape == (0, 512)


@torch.no_grad()
def test_colours_go_in_as_bgr_between_minus_one_and_one(network: IRSE50, one_thread: None) -> None:
    crop = np.random.default_rng(1).integers(256, size=(1, 112, 112, 3), dtype=np.uint8)
    told = TorchRecogniser(network).embed(crop)[0]
    blue_first = torch.from_numpy(crop[..., [2, 1, 0]].astype(np.float32)).permute(0, 3, 1, 2)
    np.testing.assert_allclose(told, network((blue_first / 255 - 0.5) / 0.5)[0], atol=1e-5)
    assert np.abs(told - TorchRecogniser(network).embed(crop[..., ::-1])[0]).max() > 1e-4


def test_it_is_opened_by_its_name_from_its_place(elsewhere: Path, weights: Path, one_thread: None) -> None:
    with pytest.raises(NotAvailable, match=f"missing from {ir_se50_file()}: get facexlib's"):
        open_recogniser(IR_SE50, "cpu")
    ir_se50_file().parent.mkdir(parents=True)
    ir_se50_file().symlink_to(weights)
    recogniser = open_recogniser(IR_SE50, "cpu")
    assert recogniser.name == IR_SE50 and recogniser.size == 112
    assert recogniser.network.body[0].res_layer[1].weight.device.type == "cpu"


def test_older_files_without_counts_and_in_half_precision_load(tmp_path: Path) -> None:
    shapes = {name: shape for name, shape in published().items() if not name.endswith("num_batches_tracked")}
    halves = {name: torch.ones(1, dtype=torch.float16).expand(shape) for name, shape in shapes.items()}
    torch.save(halves, tmp_path / "half.pth")
    assert load_ir_se50(tmp_path / "half.pth").output_layer[3].weight.dtype == torch.float32


def test_a_truncated_file_is_a_sentence(weights: Path, tmp_path: Path) -> None:
    zipped = sketch(tmp_path / "zipped.pth", published())
    with weights.open("rb") as source:
        starts = [source.read(1_000_000), zipped.read_bytes()[:-200], b"", b"<html>not found</html>"]
    for start in starts:
        (tmp_path / "broken.pth").write_bytes(start)
        with pytest.raises(UserError, match=r"^broken\.pth is damaged, or holds more than weights: [^\n]*$"):
            load_ir_se50(tmp_path / "broken.pth")


def test_other_weights_are_a_sentence_that_says_what_differs(tmp_path: Path) -> None:
    shapes = published()
    wrong = {**shapes, "output_layer.3.weight": (512, 512 * 49 + 1)}
    with pytest.raises(UserError, match=r"another shape of output_layer\.3\.weight: get facexlib"):
        load_ir_se50(sketch(tmp_path / "a.pth", wrong))
    fewer = {name: shape for name, shape in shapes.items() if not name.startswith("body.23.")}
    with pytest.raises(UserError, match=r"lacks body\.23\.res_layer\.0\.weight and 12 more"):
        load_ir_se50(sketch(tmp_path / "b.pth", fewer))
    with pytest.raises(UserError, match=r"unknown body\.24\.weight: "):
        load_ir_se50(sketch(tmp_path / "c.pth", {**shapes, "body.24.weight": (1,)}))
    with pytest.raises(UserError, match="no weights by name"):
        load_ir_se50(sketch(tmp_path / "d.pth", shapes, epoch=3))
    torch.save([1, 2], tmp_path / "e.pth")
    with pytest.raises(UserError, match="no weights by name"):
        load_ir_se50(tmp_path / "e.pth")


class Runs:
    """Unpickled carelessly, it writes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_nothing_in_a_file_of_weights_is_run(tmp_path: Path) -> None:
    torch.save({"input_layer.0.weight": Runs(tmp_path / "written")}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="holds more than weights"):
        load_ir_se50(tmp_path / "evil.pth")
    assert not (tmp_path / "written").exists()
