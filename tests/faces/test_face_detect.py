"""Faces are found where the world says they are, and whoever is meant is chosen, or asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipelines.errors import NotAvailable, UserError
from pipelines.faces import Detector, Face, FaceTooSmall, NoFace, SeveralFaces, boxes_drawn, choose, eyes_remark, pack, remarks
from pipelines.faces.detect import SMALLEST, nose_place, sizes_for
from pipelines.playground.render import Rendering, render
from pipelines.playground.scene import TRAIN_SEEDS, sample_scene


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    inside = np.prod(np.clip(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0, None))
    return inside / (np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - inside)


def shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3) uint8."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX))


def test_a_face_is_found_where_the_world_says_it_is(detector: Detector, people: list[Rendering]) -> None:
    errors = []
    for person in people:
        (face,) = detector.detect(person.frames[0])
        truth = person.landmarks[-1, 0]
        assert overlap(face.box, person.faces[-1, 0]) > 0.6 and face.score > 0.5
        errors.append(np.linalg.norm(face.landmarks - truth, axis=1).mean() / np.linalg.norm(truth[0] - truth[1]))
    assert np.mean(errors) < 0.15, "in distances of the eyes"


def test_faces_and_embeddings_are_those_of_insightface(detector: Detector, people: list[Rendering]) -> None:
    from insightface.app import FaceAnalysis

    theirs = FaceAnalysis(name=str(pack().find()), providers=["CPUExecutionProvider"])
    theirs.prepare(ctx_id=-1, det_size=(128, 128))
    for person in people:
        (ours,), (expected,) = detector.detect(person.frames[0]), theirs.get(np.ascontiguousarray(person.frames[0][..., ::-1]))
        np.testing.assert_allclose(ours.box, expected.bbox, atol=1e-3)
        np.testing.assert_allclose(ours.landmarks, expected.kps, atol=1e-3)
        assert ours.embedding @ expected.normed_embedding > 0.9999
        assert np.linalg.norm(ours.embedding) == pytest.approx(1, abs=1e-5)


def test_embeddings_come_only_where_they_are_asked_for(portraits: list[np.ndarray]) -> None:
    (face,) = Detector.open(pack().find(), "cpu", embed=False).detect(portraits[0])
    assert face.embedding is None


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((64, 64), (128,)),
        ((128, 100), (128,)),
        ((129, 100), (256, 128)),
        ((480, 832), (640, 256, 128)),
        ((4000, 3000), (640, 256, 128)),
        ((3, 500), (640, 256)),
        ((3, 1500), (640,)),
        ((1, 2000), ()),
    ],
)
def test_pictures_are_looked_at_in_about_their_own_size(shape: tuple[int, int], sizes: tuple[int, ...]) -> None:
    assert sizes_for(*shape) == sizes


def test_a_face_that_fills_a_large_picture_is_found_too(detector: Detector) -> None:
    person = render(sample_scene(TRAIN_SEEDS[702], "person"), 1, 640, 640)
    x1, y1, x2, y2 = person.faces[-1, 0].round().astype(int).clip(0, 640)
    close = np.ascontiguousarray(person.frames[0][y1:y2, x1:x2])
    (face,) = detector.detect(close)
    truth = person.landmarks[-1, 0] - (x1, y1)
    assert np.linalg.norm(face.landmarks - truth, axis=1).mean() < 0.25 * np.linalg.norm(truth[0] - truth[1])


def test_one_face_needs_no_question(detector: Detector, portraits: list[np.ndarray]) -> None:
    faces = detector.detect(portraits[0])
    assert choose(faces) is faces[0] and choose(faces, 0) is faces[0]


def test_of_two_side_by_side_it_is_asked_which_and_the_answer_is_respected(detector: Detector, portraits: list[np.ndarray]) -> None:
    both = np.concatenate(portraits[:2], 1)
    faces = detector.detect(both)
    with pytest.raises(SeveralFaces, match=r"2 faces of similar size.*1 or 2, counted from the left") as asked:
        choose(faces)
    assert asked.value.faces == faces and asked.value.candidates == (0, 1)
    for index, alone in enumerate(portraits[:2]):
        chosen = choose(faces, index)
        assert 128 * index <= chosen.box[0] and chosen.box[2] <= 128 * (index + 1)
        assert chosen.embedding @ choose(detector.detect(alone)).embedding > 0.8
    assert choose(faces, 0).embedding @ choose(faces, 1).embedding < 0.6


@pytest.mark.parametrize("index", [-1, 2, 99])
def test_a_number_that_no_face_has_is_a_sentence(index: int, detector: Detector, portraits: list[np.ndarray]) -> None:
    with pytest.raises(UserError, match=f"no face {index + 1} .*from 1 to 2"):
        choose(detector.detect(np.concatenate(portraits[:2], 1)), index)


def test_someone_small_in_the_background_is_not_asked_about(detector: Detector, portraits: list[np.ndarray]) -> None:
    scene = np.zeros((128, 192, 3), np.uint8)
    scene[:, :128], scene[60:124, 128:] = portraits[0], shrunk(portraits[1], 64)
    faces = detector.detect(scene)
    assert len(faces) == 2
    assert choose(faces).box[2] < 128 and choose(faces, 1).box[0] > 120


def test_twenty_faces_are_counted_and_one_person_is_asked_for(detector: Detector, portraits: list[np.ndarray]) -> None:
    crowd = np.tile(shrunk(portraits[0], 96), (4, 5, 1))
    faces = detector.detect(crowd)
    assert len(faces) == 20
    with pytest.raises(SeveralFaces, match=r"20 faces of similar size.*one person"):
        choose(faces)
    assert choose(faces, 19).box[0] > 350


@pytest.mark.parametrize("seed", TRAIN_SEEDS[10:14])
def test_no_face_is_a_sentence(seed: int, detector: Detector) -> None:
    for picture in (render(sample_scene(seed, "toy"), 1, 96, 96).frames[0], np.full((300, 200, 3), seed, np.uint8)):
        with pytest.raises(NoFace, match=r"^No face is seen[^.]*\.$"):
            choose(detector.detect(picture))


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (7, 900)])
def test_pictures_of_strange_shapes_hold_no_face(shape: tuple[int, int], detector: Detector) -> None:
    assert detector.detect(np.full((*shape, 3), 128, np.uint8)) == ()


def test_a_tiny_face_is_a_sentence_that_says_how_small_and_what_is_needed(detector: Detector, portraits: list[np.ndarray]) -> None:
    faces = detector.detect(shrunk(portraits[0], 16))
    with pytest.raises(FaceTooSmall, match=rf"only {faces[0].height:.0f} px high, and {SMALLEST} px or more are needed"):
        choose(faces)
    assert 5 < faces[0].height < 10
    with pytest.raises(FaceTooSmall):
        choose(faces * 3)  # it makes no difference which one is meant


def test_what_makes_a_likeness_worse_is_said(detector: Detector, portraits: list[np.ndarray]) -> None:
    picture = portraits[0]
    (face,) = detector.detect(picture)
    assert remarks(face, picture.shape, crop=64) == ()
    (small,) = remarks(face, picture.shape, crop=256)
    assert f"only {face.height:.0f} px high: with 128 px" in small
    half = picture[:, int((face.box[0] + face.box[2]) / 2) :]
    moved = replace(face, box=face.box - np.float32((picture.shape[1] - half.shape[1], 0) * 2))
    assert "cut off" in remarks(moved, half.shape, crop=64)[0]


HEAD = np.array(((-31, 0, -30), (31, 0, -30), (0, -33, 0), (-26, -66, -21), (26, -66, -21)))
"""Eyes, nose and mouth of an average head in millimetres: x to the right, y up, z out of the face."""


def seen_from(yaw: float, roll: float) -> np.ndarray:
    """(5, 2) key points of that head, y down, turned by `yaw` and then tilted by `roll` radians."""
    turned = np.stack([HEAD[:, 0] * np.cos(yaw) + HEAD[:, 2] * np.sin(yaw), -HEAD[:, 1]], 1)
    cos, sin = np.cos(roll), np.sin(roll)
    return turned @ np.array(((cos, sin), (-sin, cos)))


@pytest.mark.parametrize("roll", [0.0, 0.6, -1.2, 3.1])
def test_a_profile_is_told_by_the_nose_however_the_head_is_tilted(roll: float) -> None:
    box = np.float32((0, 0, 300, 300))
    for yaw in (0.0, -0.4, 0.4):
        assert remarks(Face(box, seen_from(yaw, roll), 1.0), (300, 300)) == ()
    for yaw in (-1.2, 1.2, -1.5, 1.5):
        assert not 0 <= nose_place(seen_from(yaw, roll)) <= 1
        (remark,) = remarks(Face(box, seen_from(yaw, roll), 1.0), (300, 300))
        assert "from the side" in remark
    assert nose_place(seen_from(0.0, roll)) == pytest.approx(0.5)


def test_nobody_in_the_world_is_taken_for_a_profile(people: list[Rendering]) -> None:
    for person in people:
        assert 0.15 < nose_place(person.landmarks[-1, 0]) < 0.85


def test_eyes_in_one_place_are_a_profile() -> None:
    assert not 0 <= nose_place(np.zeros((5, 2))) <= 1


@pytest.mark.parametrize("side", [64, 500, 2000])
def test_boxes_are_drawn_with_numbers_in_a_size_to_be_looked_at(side: int, detector: Detector, portraits: list[np.ndarray]) -> None:
    picture = shrunk(portraits[0], side)
    before = picture.copy()
    (face,) = detector.detect(picture)
    shown = boxes_drawn(picture, (face, replace(face, box=face.box + 0.2 * side)))
    bare = boxes_drawn(picture, ())
    assert shown.shape == bare.shape == (min(max(side, 384), 1024),) * 2 + (3,) and shown.dtype == np.uint8
    np.testing.assert_array_equal(picture, before)
    scale = len(shown) / side
    changed = (shown != bare).any(-1)
    x1, y1, x2, y2 = (face.box * scale).round().astype(int)
    assert changed[y1 : y2 + 1, x1].all() and changed[y1, x1 : x2 + 1].all()
    assert not changed[(y1 + y2) // 2, (x1 + 3 * x2) // 4], "inside, the face is to be seen"
    assert not changed[: max(0, y1 - 30)].any()


def test_a_box_beyond_the_picture_is_drawn_as_far_as_it_goes() -> None:
    box = np.float32((-50, -50, 900, 900))
    assert boxes_drawn(np.zeros((100, 40, 3), np.uint8), (Face(box, np.zeros((5, 2)), 1.0),)).any()


def test_the_package_is_light_until_it_is_used() -> None:
    heavy = "{'torch', 'insightface', 'onnxruntime', 'skimage', 'cv2'}"
    code = f"import sys, pipelines.faces; raise SystemExit(str(set(sys.modules) & {heavy} or ''))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.strip() == ""


def test_without_a_pack_there_is_a_sentence_and_no_download(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "buffalo_l"):
        with pytest.raises(NotAvailable, match="no face model pack"):
            Detector.open(folder)


def test_a_damaged_pack_is_a_sentence(tmp_path: Path) -> None:
    folder = shutil.copytree(pack().find(), tmp_path / "pack")
    detector, recogniser = folder / "detector.onnx", folder / "recogniser.onnx"
    whole = detector.read_bytes()
    for content in (whole[: len(whole) // 2], b"not a model", b""):
        detector.write_bytes(content)
        with pytest.raises(UserError, match="damaged or incomplete"):
            Detector.open(folder, "cpu")
    detector.unlink()
    with pytest.raises(UserError, match="damaged or incomplete"):
        Detector.open(folder, "cpu")
    detector.write_bytes(whole)
    recogniser.unlink()
    assert Detector.open(folder, "cpu").recogniser is None


def test_dark_glasses_are_remarked_on_and_dark_eyes_are_not(detector: Detector, portraits: list[np.ndarray]) -> None:
    for portrait in portraits:
        face = choose(detector.detect(portrait))
        assert eyes_remark(portrait, face) == ""
        left, right = (tuple(int(value) for value in point) for point in face.landmarks[:2])
        wide = float(np.hypot(right[0] - left[0], right[1] - left[1]))
        worn = portrait.copy()
        for eye in (left, right):
            cv2.circle(worn, eye, int(0.38 * wide), (15, 15, 18), -1, cv2.LINE_AA)
        assert "sunglasses" in eyes_remark(worn, face)


def test_a_cartoon_is_a_face_or_a_sentence(detector: Detector) -> None:
    """A smiley may pass for a face or not: what it must not be is anything else."""
    smiley = np.full((200, 200, 3), 255, np.uint8)
    cv2.circle(smiley, (100, 100), 80, (255, 220, 40), -1)
    for x in (70, 130):
        cv2.circle(smiley, (x, 80), 9, (0, 0, 0), -1)
    cv2.ellipse(smiley, (100, 110), (40, 35), 0, 20, 160, (0, 0, 0), 5)
    try:
        assert choose(detector.detect(smiley)).height >= SMALLEST
    except UserError as error:
        assert str(error).endswith(".") and ":" in str(error)
