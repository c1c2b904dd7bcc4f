"""A procedural method with several named previews: a striped dot crosses the picture, and what of it is where is known exactly.

Its previews have the names and kinds of a method that warps a reference's appearance into a clip, so pages and records can be
tested without a model.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from pipelines.events import Event, Preview, Progress, Result
from pipelines.requests import VideoRequest

TOKEN = 8  # pixels of a token's side
FOLDED = 4  # frames in a latent frame, but for the first
FIRST, LAST = 0.06, 0.38  # the share of the steps at which something is injected
GROUND, SKY = (58, 92, 60), (120, 160, 200)
DECIDED = (
    "correspondence", "warped reference", "warped reference, masked", "flow to the reference", "flow from the reference",
    "attention to the subject", "foreground mask", "cycle mask", "injection mask",
)  # fmt: skip


def run(request: VideoRequest, *_: object) -> Iterator[Event]:
    """Draw the clip. Unknown settings that count: `injection` ("off": nothing is matched) and `step_seconds`."""
    request = request.with_seed()
    extra = request.model_extra or {}
    injected = extra.get("injection", "warp") != "off"
    latent = 1 + (request.frames - 1) // FOLDED
    clip = np.stack([scene(request, place(request, frame), injected) for frame in range(request.frames)])
    noise = np.random.default_rng(request.seed)
    if injected:
        yield Preview("frames", "reference", 0, reference(request)[None])
    yield Progress("drawing", 0, request.steps)
    for step in range(request.steps):
        time.sleep(extra.get("step_seconds", 0.0))
        share = (step + 1) / request.steps
        small = clip[[0, *range(2, request.frames, FOLDED)]][:latent, 2::4, 2::4]
        yield Preview("frames", "denoised", step, (small * share + noise.integers(0, 256, small.shape) * (1 - share)).astype(np.uint8))
        if injected and FIRST <= step / max(request.steps - 1, 1) <= LAST:
            yield from decided(request, latent, step, noise)
        yield Progress("drawing", step + 1, request.steps, (request.steps - step - 1) * extra.get("step_seconds", 0.0))
    yield Result(request, clip, request.fps, (), {})


def place(request: VideoRequest, frame: float) -> float:
    """Column of the dot's middle in a frame."""
    return request.width * (0.25 + 0.5 * frame / max(request.frames - 1, 1))


def scene(request: VideoRequest, column: float, striped: bool) -> np.ndarray:
    """A frame (H, W, 3) uint8."""
    rows, columns = np.mgrid[: request.height, : request.width]
    frame = np.where((rows > request.height * 0.7)[..., None], GROUND, SKY).astype(np.uint8)
    inside = np.hypot(rows - request.height / 2, columns - column) < request.height / 4
    stripes = ((rows - columns + column).astype(int) // 6 % 2 == 0) & striped
    frame[inside] = np.where(stripes[inside][:, None], (250, 235, 120), (224, 90, 50))
    return frame


def reference(request: VideoRequest) -> np.ndarray:
    """(H, W, 3) uint8: the dot in the middle."""
    return scene(request, request.width / 2, True)


def shift(request: VideoRequest, latent: int) -> list[int]:
    """How many tokens the dot stands right of where it is in the reference, per latent frame."""
    times = [0, *range(2, request.frames, FOLDED)][:latent]
    return [round((place(request, time) - request.width / 2) / TOKEN) for time in times]


def decided(request: VideoRequest, latent: int, step: int, noise: np.random.Generator) -> Iterator[Preview]:
    """What a step was decided by."""
    height, width = request.height // TOKEN, request.width // TOKEN
    rows, columns = np.mgrid[:height, :width]
    small = reference(request)[TOKEN // 2 :: TOKEN, TOKEN // 2 :: TOKEN]
    colours = np.stack([columns / (width - 1), rows / (height - 1), 1 - (columns / width + rows / height) / 2], -1)
    there, back = np.zeros((2, latent, height, width, 2))
    attention = np.zeros((latent, height, width))
    for frame, moved in enumerate(shift(request, latent)):
        there[frame, ..., 0] = (columns - moved) % width - columns
        back[frame, ..., 0] = (columns + moved) % width - columns
        middle = width / 2 + moved
        attention[frame] = np.clip(1.3 - np.hypot(rows + 0.5 - height / 2, columns + 0.5 - middle) / (height / 3.2), 0, 1)
    foreground, cycle = attention > 0.3, noise.random((latent, height, width)) > 0.15
    trusted = foreground & cycle
    pulled = (columns + there[..., 0]).astype(int)
    warped = small[rows, pulled]
    arrays = {
        "correspondence": (colours[rows, pulled] * 255).astype(np.uint8), "warped reference": warped,
        "warped reference, masked": warped * trusted[..., None].astype(np.uint8),
        "flow to the reference": there, "flow from the reference": back, "attention to the subject": attention,
        "foreground mask": foreground.astype(float), "cycle mask": cycle.astype(float), "injection mask": trusted.astype(float),
    }  # fmt: skip
    for name in DECIDED:
        kind = "flow" if name.startswith("flow") else "mask" if name.endswith("mask") else "map" if "attention" in name else "frames"
        yield Preview(kind, name, step, arrays[name])
