"""Events as pictures: pure functions on numpy and PIL, nothing is written to disk.

Arrays in, arrays out: frames are (T, H, W, 3) uint8 RGB. `still`, `sheet` and `animate` make WebP of them, `coloured` and
`picture` take any `Preview`.
"""

from __future__ import annotations

import io
import math
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.events import Preview

SCREEN = 384  # pixels of the longer side of a picture on the page
SHEET = 4096  # pixels of the longer side of a sheet
_HEAT = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164))  # dark to bright, as in "inferno"
_WHEEL = ((15, 0, 1, 1), (6, 1, 0, -1), (4, 1, 2, 1), (11, 2, 1, -1), (13, 2, 0, 1), (6, 0, 2, -1))  # steps, full, changing, direction


def still(frame: np.ndarray, side: int = SCREEN, crisp: bool = False) -> bytes:
    """One frame (H, W, 3) uint8 as WebP, its longer side `side` pixels."""
    return animate(frame[None], 1.0, side, crisp)


def animate(frames: np.ndarray, seconds: float, side: int = SCREEN, crisp: bool = False) -> bytes:
    """Frames as endlessly repeating WebP that plays for `seconds`.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        seconds: playing time of all frames together.
        side: pixels of the longer side.
        crisp: show the pixels as squares instead of smoothing (bicubic).
    """
    first, *rest = (Image.fromarray(frame) for frame in enlarge(frames, side, crisp))
    duration = max(20, round(1000 * seconds / len(frames)))  # browsers slow anything faster down
    return _webp(first, crisp, save_all=bool(rest), append_images=rest, duration=duration, loop=0)


def sheet(frames: np.ndarray, side: int = SCREEN, crisp: bool = False) -> bytes:
    """All frames (T, H, W, 3) uint8 as one still WebP, row by row, ceil(sqrt(T)) in a row; each is `side` pixels, or what fits.

    A page that has it can show any frame without asking again.
    """
    columns = math.ceil(math.sqrt(len(frames)))
    cells = enlarge(frames, min(side, SHEET // columns), crisp)
    height, width = cells.shape[1:3]
    whole = Image.new("RGB", (columns * width, math.ceil(len(cells) / columns) * height))
    for index, cell in enumerate(cells):
        whole.paste(Image.fromarray(cell), (index % columns * width, index // columns * height))
    return _webp(whole, crisp)


def _webp(image: Image.Image, crisp: bool, **options: object) -> bytes:
    """Without loss where pixels are squares: their edges would bleed, and as they are they take little room."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=crisp, quality=85, method=0, **options)
    return buffer.getvalue()


def enlarge(frames: np.ndarray, side: int = SCREEN, crisp: bool = False) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 resized so that the longer side has `side` pixels; the proportions stay."""
    height, width = frames.shape[1:3]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    smooth = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS
    resampling = Image.Resampling.NEAREST if crisp else smooth
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, resampling)) for frame in frames])


def picture(preview: Preview, seconds: float, side: int = SCREEN, crisp: bool = False) -> bytes:
    """A preview of any kind as WebP that plays for `seconds`. Raises ValueError for a kind it does not know."""
    return animate(coloured(preview, side), seconds, side, crisp)


def coloured(preview: Preview, side: int = SCREEN) -> np.ndarray:
    """A preview of any kind as frames (T, H, W, 3) uint8 of its own size; a curve is drawn `side` pixels wide.

    Flows are fully saturated from half of the grid's longer side on, so that steps can be compared. Raises ValueError for a
    kind it does not know.
    """
    array = np.asarray(preview.array)
    if preview.kind == "frames":
        return array
    if preview.kind == "mask":
        return heat(array, (_HEAT[0], (255, 255, 255)))
    if preview.kind == "map":
        return heat(array)
    if preview.kind == "flow":
        return flow_colours(array, max(array.shape[1:3]) / 2)
    if preview.kind == "curve":
        return curve(array, side, side // 2)[None]
    raise ValueError(f"no picture for a preview of kind {preview.kind!r}")


def heat(values: np.ndarray, colours: tuple[tuple[int, int, int], ...] = _HEAT) -> np.ndarray:
    """Values 0..1 of any shape (...) -> (..., 3) uint8, interpolated between equally spaced colours; NaN counts as 0."""
    points = np.linspace(0.0, 1.0, len(colours))
    clean = np.clip(np.nan_to_num(np.asarray(values, np.float64)), 0.0, 1.0)
    channels = [np.interp(clean, points, [colour[channel] for colour in colours]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def paint_mask(frames: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int] = (255, 64, 129), strength: float = 0.55) -> np.ndarray:
    """Lay a colour over frames where a mask is set.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        mask: (T, h, w) float 0..1, enlarged to the frames if it is coarser (one value per token, say).
        strength: 0 leaves the frames as they are, 1 hides them under the mask.
    """
    height, width = frames.shape[1:3]
    grey = [Image.fromarray((np.clip(m, 0, 1) * 255).round().astype(np.uint8)) for m in mask]
    fitted = np.stack([np.asarray(g.resize((width, height), Image.Resampling.BILINEAR)) for g in grey])
    weight = fitted[..., None] / 255.0 * strength
    return (frames * (1 - weight) + np.array(colour) * weight).round().astype(np.uint8)


@cache
def colour_wheel() -> np.ndarray:
    """The 55 hues of the optical flow colour wheel, (55, 3) float 0..1 (Baker et al., IJCV 2011, as in Middlebury's colorcode)."""
    rows = []
    for steps, full, changing, direction in _WHEEL:
        arc = np.zeros((steps, 3))
        ramp = np.arange(steps) / steps
        arc[:, full] = 1.0
        arc[:, changing] = ramp if direction > 0 else 1.0 - ramp
        rows.append(arc)
    return np.concatenate(rows)


def flow_colours(flow: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Displacements as colours: the direction is the hue, the length the saturation, standing still is white.

    Args:
        flow: (T, H, W, 2) displacement (x, y) in any unit; NaN (no correspondence) becomes mid grey.
        largest: length that is fully saturated; the longest one found if not given.

    Returns:
        (T, H, W, 3) uint8 RGB (Baker et al., IJCV 2011).
    """
    unknown = ~np.isfinite(flow).all(axis=-1)
    x, y = np.moveaxis(np.where(unknown[..., None], 0.0, flow), -1, 0)
    length = np.hypot(x, y)
    radius = np.clip(length / (largest or length.max() or 1.0), 0.0, 1.0)[..., None]
    wheel = colour_wheel()
    place = (np.arctan2(-y, -x) / np.pi + 1) / 2 * len(wheel)  # 0 points right, turning towards +y (down)
    low = np.floor(place).astype(int)
    hue = wheel[low % len(wheel)] * (1 - (place - low))[..., None] + wheel[(low + 1) % len(wheel)] * (place - low)[..., None]
    colours = ((1 - radius * (1 - hue)) * 255).round().astype(np.uint8)
    colours[unknown] = 128
    return colours


def time_slice(frames: np.ndarray, column: int | None = None) -> np.ndarray:
    """The y-t slice: one pixel column of every frame side by side, (H, T, 3) uint8; the middle column if none is named.

    A still background gives straight lines, a subject that moves draws its path, flicker shows as stripes.
    """
    column = frames.shape[2] // 2 if column is None else min(max(column, 0), frames.shape[2] - 1)
    return np.ascontiguousarray(frames[:, :, column].swapaxes(0, 1))


def curve(values: np.ndarray, width: int = SCREEN, height: int = SCREEN // 2, dark: bool = True) -> np.ndarray:
    """A line chart of values (N,) over their index, (height, width, 3) uint8, labelled with its range.

    Values that are not finite leave a gap.
    """
    values = np.asarray(values, np.float64).ravel()
    ground, ink, line = ((23, 23, 28), (160, 160, 170), (255, 122, 89)) if dark else ((255, 255, 255), (105, 105, 115), (214, 69, 36))
    over = 3  # drawn large and reduced: smooth lines
    image = Image.new("RGB", (width * over, height * over), ground)
    draw = ImageDraw.Draw(image)
    known = np.flatnonzero(np.isfinite(values))
    if len(known):
        low, high = values[known].min(), values[known].max()
        for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            _stroke(draw, _places(run, values, low, high, image.size, margin=18 * over), line, over)
        _labels(draw, low, high, image.size, ink, over)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def _places(run: np.ndarray, values: np.ndarray, low: float, high: float, size: tuple[int, int], margin: int) -> list[tuple[float, float]]:
    """Pixel positions of the values at the indices `run`."""
    across = run / max(len(values) - 1, 1)
    up = (values[run] - low) / (high - low) if high > low else np.full(len(run), 0.5)
    return list(zip(margin + across * (size[0] - 2 * margin), size[1] - margin - up * (size[1] - 2 * margin), strict=True))


def _stroke(draw: ImageDraw.ImageDraw, places: list[tuple[float, float]], colour: tuple[int, int, int], over: int) -> None:
    if len(places) == 1:
        (x, y), radius = places[0], 2 * over
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    else:
        draw.line(places, fill=colour, width=2 * over, joint="curve")


def _labels(draw: ImageDraw.ImageDraw, low: float, high: float, size: tuple[int, int], colour: tuple[int, int, int], over: int) -> None:
    font = ImageFont.load_default(11 * over)
    draw.text((4 * over, 2 * over), f"{high:.4g}", fill=colour, font=font)
    draw.text((4 * over, size[1] - 2 * over), f"{low:.4g}", fill=colour, font=font, anchor="ls")
