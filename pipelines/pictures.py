"""A photograph from any file that a camera or a program writes, as pixels. Files are untrusted: checked before they are decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipelines.errors import NotAvailable, UserError

LARGEST = 60_000_000
"""Pixels of a picture that will be read: larger ones are refused before they are decoded."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM")
"""Kinds of files, told by content. EPS is not among them: Pillow would hand it to another program."""


def read_picture(file: Path, name: str = "") -> np.ndarray:
    """The picture in `file`, called `name` in messages, as (H, W, 3) uint8 RGB.

    Turned upright (EXIF), any colour space and depth as 8-bit RGB, transparency on white, of a moving picture the first.
    Raises NotAvailable if there is no such file, UserError if it is no picture, damaged or too large.
    """
    name = name or file.name
    if not file.is_file():
        raise NotAvailable(f"{name} cannot be read, because there is no such file: choose the picture again.")
    try:
        return _read(file, name)
    except UserError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{name} is too large: make it smaller than {LARGEST // 10**6} megapixels.") from error
    except Exception as error:  # what Pillow's readers raise for damaged files is of every kind
        raise UserError(f"{name} cannot be read as a picture: save it as PNG or JPEG and choose it again.") from error


def _read(file: Path, name: str) -> np.ndarray:
    Image.init()
    with Image.open(file, formats=[kind for kind in FORMATS if kind in Image.OPEN]) as image:
        width, height = image.size
        if width * height > LARGEST:
            raise UserError(f"{name} has {width} x {height} px, which is too large: make it smaller than {LARGEST // 10**6} megapixels.")
        return _eight_bit_rgb(ImageOps.exif_transpose(image))


def _eight_bit_rgb(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8; 16-bit grey is scaled, where Pillow would clip it."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float64) / 257
        return np.stack([grey.round().clip(0, 255).astype(np.uint8)] * 3, -1)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))
