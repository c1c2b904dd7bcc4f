"""A mark in the picture itself, for clips that leave their file's metadata behind."""

from __future__ import annotations

import numpy as np

WORDS = ("AI-generated", "AI")
"""The first that fits."""

SHARE, SMALLEST = 1 / 18, 8
"""Height of the letters as a share of the shorter side, and in pixels at least."""


def marked(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) uint8 with a line in the lower right corner of every frame."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = frames.shape[1:3]
    font = ImageFont.load_default(max(SMALLEST, SHARE * min(height, width)))
    words = next((text for text in WORDS if font.getlength(text) < 0.6 * width), WORDS[-1])
    edge = max(1, round(font.size / 3))
    pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    for picture in pictures:
        draw, place, line = ImageDraw.Draw(picture), (width - edge, height - edge), max(1, round(font.size / 12))
        draw.text(place, words, "white", font, anchor="rs", stroke_width=line, stroke_fill="black")
    return np.stack([np.asarray(picture) for picture in pictures])
