"""Photographs are read upright, whatever wrote them; what is none is one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import NotAvailable, UserError
from pipelines.faces import Detector, choose
from pipelines.pictures import read_picture

ORIENTATION = 0x0112


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, 1), (8, 3)])
def test_a_photograph_taken_with_the_camera_turned_is_upright(
    orientation: int, turn: int, detector: Detector, portraits: list[np.ndarray], tmp_path: Path
) -> None:
    """The file's pixels lie on the side or stand on their head, and EXIF says so."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(np.rot90(portraits[0], turn)).save(tmp_path / "a.jpg", quality=98, subsampling=0, exif=exif)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.shape == portraits[0].shape
    assert np.abs(picture.astype(int) - portraits[0]).mean() < 3
    found, expected = choose(detector.detect(picture)), choose(detector.detect(portraits[0]))
    np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=2)
    assert found.embedding @ expected.embedding > 0.95


MODES = {
    "PNG": ("RGB", "L", "P", "RGBA", "1"),
    "JPEG": ("RGB", "L", "CMYK"),
    "WEBP": ("RGB", "L", "P", "RGBA"),
    "BMP": ("RGB", "L", "P", "RGBA", "1"),
    "TIFF": ("RGB", "L", "CMYK", "P", "RGBA", "1"),
    "PPM": ("RGB", "L", "RGBA", "1"),
}
"""Kind of file -> colour spaces that it knows."""


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_any_kind_and_colour_space_is_read(kind: str, mode: str, portraits: list[np.ndarray], tmp_path: Path) -> None:
    Image.fromarray(portraits[0]).convert(mode).save(tmp_path / "a", kind)
    picture = read_picture(tmp_path / "a")
    assert picture.shape == portraits[0].shape and picture.dtype == np.uint8
    grey = np.asarray(Image.fromarray(portraits[0]).convert("L")).astype(float)
    assert np.corrcoef(picture.mean(-1).ravel(), grey.ravel())[0, 1] > (0.3 if mode == "1" else 0.75)


def test_sixteen_bits_are_scaled_and_transparency_is_white(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_allclose(read_picture(tmp_path / "deep.png")[..., 1], deep / 257, atol=0.51)
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png") == 255).all()


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" * 99, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_what_is_no_picture_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"^a\.png cannot be read as a picture: [^\n]*\.$"):
        read_picture(tmp_path / "a.png")


@pytest.mark.filterwarnings("ignore:::PIL")
def test_a_picture_that_breaks_off_or_is_scrambled_never_raises_anything_else(portraits: list[np.ndarray], tmp_path: Path) -> None:
    exif, draw, file = Image.Exif(), np.random.default_rng(0), tmp_path / "a"
    exif[ORIENTATION] = 6
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF"):
        Image.fromarray(portraits[0]).save(file, kind, **({} if kind == "GIF" else {"exif": exif}))
        whole = np.frombuffer(file.read_bytes(), np.uint8)
        for trial in range(20):
            broken = whole[: len(whole) // 2] if trial == 0 else whole.copy()
            if trial:
                broken[draw.integers(len(broken) if trial % 2 else 200, size=8)] = draw.integers(256, size=8)
            file.write_bytes(broken.tobytes())
            try:
                assert read_picture(file).dtype == np.uint8
            except UserError as error:
                assert str(error).endswith(".")


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (30_000, 10_000)).save(tmp_path / "bomb.png")
    with pytest.raises(UserError, match="is too large: make it smaller than 60 megapixels"):
        read_picture(tmp_path / "bomb.png")
    Image.new("1", (9_000, 9_000)).save(tmp_path / "large.png")
    with pytest.raises(UserError, match="9000 x 9000 px, which is too large"):
        read_picture(tmp_path / "large.png")


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    for file in (tmp_path / "a.png", tmp_path):
        with pytest.raises(NotAvailable, match="there is no such file"):
            read_picture(file)
    with pytest.raises(NotAvailable, match=r"Me\.png cannot be read"):
        read_picture(tmp_path / "a.png", "Me.png")
