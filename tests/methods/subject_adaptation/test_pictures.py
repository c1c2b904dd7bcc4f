"""Reference pictures: every sort of file gives upright RGB or a sentence, never an exception."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import UserError
from pipelines.methods.subject_adaptation import pictures
from pipelines.methods.subject_adaptation.pictures import MOST, fit, read_picture, read_pictures, usable


@pytest.fixture
def photo() -> np.ndarray:
    """(60, 80, 3): red to the right, green downwards."""
    down, right = np.mgrid[:60, :80]
    return np.stack([right * 3, down * 4, np.full_like(right, 90)], -1).astype(np.uint8)


def test_a_plain_picture_is_read_as_it_is(photo: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.problem == "" and np.array_equal(picture.pixels, photo)


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "LA", "RGBA", "1", "I;16"])
def test_any_colour_space_becomes_rgb(photo: np.ndarray, tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(photo)
    image = Image.fromarray(photo[..., 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    file = tmp_path / ("a.tif" if mode in ("CMYK", "I;16") else "a.png")
    image.save(file)
    read = read_picture(file)
    assert read.problem == "" and read.pixels.shape == photo.shape and read.pixels.dtype == np.uint8
    if mode == "I;16":
        assert np.array_equal(read.pixels[..., 0], photo[..., 0])
    assert np.std(read.pixels) > 10


def test_transparency_lies_on_white(photo: np.ndarray, tmp_path: Path) -> None:
    clear = np.concatenate([photo, np.zeros((60, 80, 1), np.uint8)], -1)
    Image.fromarray(clear).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png").pixels == 255).all()


def test_pictures_are_turned_upright(photo: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn to the left
    Image.fromarray(photo).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "a.png").pixels, np.rot90(photo, -1))


def test_what_cannot_be_used_is_said_per_file(photo: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(photo[:20]).save(tmp_path / "tiny.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing" * 20)
    (tmp_path / "words.jpg").write_text("not a picture")
    Image.fromarray(photo).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:400])
    for name in ("tiny.png", "broken.png", "words.jpg", "cut.jpg", "missing.png"):
        picture = read_picture(tmp_path / name)
        assert picture.pixels is None and picture.problem.startswith(name) and picture.problem.endswith(".")


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    monkeypatch.setattr("pipelines.pictures._eight_bit_rgb", lambda image: pytest.fail("decoded"))
    assert "too large" in read_picture(tmp_path / "huge.png").problem


def test_the_same_picture_twice_is_pointed_out(photo: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    Image.fromarray(photo).save(tmp_path / "b.jpg", quality=80)
    Image.fromarray(photo[:, ::-1].copy()).save(tmp_path / "c.png")
    read = read_pictures([tmp_path / name for name in ("a.png", "b.jpg", "c.png")])
    assert [bool(picture.problem) for picture in read] == [False, True, False]
    assert "a.png" in read[1].problem
    assert [picture.name for picture in usable(read)] == ["a.png", "c.png"]


def test_none_and_too_many_are_refused(photo: np.ndarray) -> None:
    with pytest.raises(UserError, match="no picture"):
        usable([])
    with pytest.raises(UserError, match="too many"):
        usable([pictures.Picture(f"{index}.png", photo) for index in range(MOST + 1)])


def test_fitting_keeps_the_middle_and_the_proportions(photo: np.ndarray) -> None:
    assert fit(photo, 60, 60).shape == (60, 60, 3)
    assert np.array_equal(fit(photo, 60, 60), photo[:, 10:70])
