"""Events as pictures: sizes, colours and pace."""

import io

import numpy as np
import pytest
from PIL import Image

from pipelines.events import Preview
from studio.inspect import animate, colour_wheel, curve, enlarge, flow_colours, heat, paint_mask, picture, still, time_slice

RANDOM = np.random.default_rng(0)


def opened(webp: bytes) -> Image.Image:
    return Image.open(io.BytesIO(webp))


@pytest.mark.parametrize(
    ("height", "width", "size"), [(16, 16, (384, 384)), (16, 32, (384, 192)), (900, 600, (256, 384)), (1, 1, (384, 384))]
)
def test_a_clip_fits_the_screen_and_keeps_its_proportions_and_pace(height, width, size):
    frames = RANDOM.integers(0, 256, (4, height, width, 3), dtype=np.uint8)
    image = opened(animate(frames, seconds=2.0))
    assert (image.size, image.n_frames, image.info["loop"]) == (size, 4, 0)
    durations = []
    for index in range(4):
        image.seek(index)
        image.load()
        durations.append(image.info["duration"])
    assert durations == [500] * 4


def test_crisp_keeps_the_pixels_and_smooth_blends_them():
    frames = np.array([[[[0, 0, 0], [200, 100, 50]]]], np.uint8)
    crisp = enlarge(frames, 8, crisp=True)
    assert crisp.shape == (1, 4, 8, 3) and np.array_equal(np.unique(crisp.reshape(-1, 3), axis=0), [[0, 0, 0], [200, 100, 50]])
    assert len(np.unique(enlarge(frames, 8)[..., 0])) > 2


def test_a_still_is_one_frame_with_its_colours():
    image = opened(still(np.full((8, 8, 3), (200, 40, 90), np.uint8), 32))
    assert image.size == (32, 32) and getattr(image, "n_frames", 1) == 1
    assert np.abs(np.asarray(image.convert("RGB"), int) - (200, 40, 90)).max() < 8


def test_heat_rises_from_dark_to_bright_and_survives_odd_values():
    brightness = heat(np.linspace(0, 1, 50)).sum(axis=-1, dtype=int)
    assert (np.diff(brightness) > 0).all()
    assert np.array_equal(heat(np.array([np.nan, -1, 2])), heat(np.array([0.0, 0.0, 1.0])))


def test_a_mask_colours_what_it_covers_only():
    frames = RANDOM.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    assert np.array_equal(paint_mask(frames, np.zeros((2, 4, 4))), frames)
    assert np.array_equal(paint_mask(frames, np.ones((2, 4, 4)), (10, 20, 30), strength=1.0)[0, 0, 0], [10, 20, 30])


def test_flow_directions_have_the_hues_of_the_wheel():
    right, down, left, up = np.moveaxis(flow_colours(np.array([[[[1, 0], [0, 1], [-1, 0], [0, -1]]]], float)), 2, 0).reshape(4, 3)
    assert right.tolist() == [255, 0, 0]  # the wheel begins with red for +x
    assert down[0] == 255 and down[1] > 200 and down[2] == 0  # yellow
    assert left[0] == 0 and left[2] > 200  # cyan to blue
    assert up[2] > 200 and up[1] == 0  # violet
    assert colour_wheel().shape == (55, 3)


def test_flow_length_is_saturation_and_the_unknown_is_grey():
    row = flow_colours(np.array([[[[0, 0], [0.5, 0], [1, 0], [np.nan, 0]]]], float))[0, 0]
    assert row.tolist() == [[255, 255, 255], [255, 128, 128], [255, 0, 0], [128, 128, 128]]
    assert (flow_colours(np.zeros((1, 2, 2, 2))) == 255).all()


def test_the_time_slice_shows_a_path():
    frames = np.zeros((6, 6, 9, 3), np.uint8)
    for index in range(6):
        frames[index, index, 4] = 255
    drawn = time_slice(frames)
    assert drawn.shape == (6, 6, 3) and np.array_equal(drawn[..., 0], np.eye(6) * 255)
    assert not time_slice(frames, column=99).any()


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0], [3.0, 1.0, np.nan, 0.5, np.inf, 0.2]])
def test_a_curve_is_drawn_whatever_the_values(values):
    chart = curve(np.array(values), 120, 60)
    assert chart.shape == (60, 120, 3)
    assert (chart.max() > 150) == bool(values)


def test_a_falling_curve_falls():
    chart = curve(np.linspace(1, 0, 20), 200, 100).astype(int)
    line = chart[:, :, 0] - chart[:, :, 2] > 80
    heights = [np.flatnonzero(line[:, column]).mean() for column in (40, 100, 160)]
    assert heights[0] < heights[1] < heights[2]


@pytest.mark.parametrize(
    ("kind", "shape"), [("frames", (2, 8, 8, 3)), ("mask", (2, 8, 8)), ("map", (2, 8, 8)), ("flow", (2, 8, 8, 2)), ("curve", (12,))]
)
def test_every_kind_of_preview_has_a_picture(kind, shape):
    array = RANDOM.random(shape)
    image = opened(picture(Preview(kind, "it", 0, (array * 255).astype(np.uint8) if kind == "frames" else array), 1.0, side=64))
    assert max(image.size) == 64 and getattr(image, "n_frames", 1) == (1 if kind == "curve" else 2)
