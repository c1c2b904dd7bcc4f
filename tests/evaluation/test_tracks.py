"""Point tracks against what is true in the world, and slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.evaluation.metrics import compare_motion, motion_fidelity
from pipelines.evaluation.tracks import REST, grid_points, track_points, variance, yt_slice
from pipelines.playground.render import Rendering, render
from pipelines.playground.scene import Scene, Toy

STRAIGHT = ("left", "right", "rise", "fall")


def moving(motion: str, size: int = 64, **changes) -> Rendering:
    toy = replace(Toy("cube", "red", "plain", motion, 0.5), **changes)
    return render(Scene(5, "meadow", "static", (toy,)), 17, size, size)


def toy_tracks(seen: Rendering) -> np.ndarray:
    return track_points(seen.frames, mask=seen.masks[0, 0] > 0.9)


def centre(seen: Rendering) -> np.ndarray:
    """(T, 2) true way of a toy that does not turn: the mean over its tracked points."""
    return seen.tracks[0].mean(1)


@pytest.mark.parametrize("motion", STRAIGHT)
@pytest.mark.parametrize(("pattern", "size"), [("plain", 64), ("striped", 64), ("dotted", 64), ("dotted", 128)])
def test_points_of_a_toy_go_where_it_goes(motion, pattern, size) -> None:
    seen = moving(motion, size, pattern=pattern)
    tracks = toy_tracks(seen)
    whole = np.isfinite(tracks).all((1, 2))
    assert whole.sum() > 20
    ways = tracks[whole] - tracks[whole][:, :1]
    errors = np.linalg.norm(ways - (centre(seen) - centre(seen)[0]), axis=-1)
    assert np.median(errors[:, -1]) < 0.01 * size


def test_points_of_many_motions_stay_on_their_place_of_the_surface() -> None:
    """At the pixel where a point is now, the toy has the surface coordinates that it had where the point began."""
    distances = []
    for motion in ("bounce", "zigzag", "circle"):
        seen = moving(motion, 64, shape="star", pattern="dotted")
        tracks = toy_tracks(seen)
        pixels = np.where(np.isfinite(tracks), np.round(tracks), 0).astype(int)
        place = seen.surface[0, np.arange(17), pixels[..., 1], pixels[..., 0]]
        apart = np.linalg.norm(place - place[:, :1], axis=-1)[:, 1:]
        distances.append(apart[np.isfinite(tracks[:, 1:, 0]) & np.isfinite(apart)])
    assert np.median(np.concatenate(distances)) < 0.1


def test_motion_is_told_from_tracks() -> None:
    """Toys of different shape and place that go the same way move alike; the opposite way is the reverse."""
    left, right = toy_tracks(moving("left")), toy_tracks(moving("right"))
    other = toy_tracks(moving("left", shape="ball", pattern="striped", place=(0.05, 0.1)))
    assert motion_fidelity(left, other, REST) > 0.9
    assert motion_fidelity(left, right, REST) < -0.4


def test_what_stands_still_is_left_out_and_counted() -> None:
    seen = moving("left")
    around = track_points(seen.frames, mask=seen.masks[0].max(0) == 0)
    told = compare_motion(around, toy_tracks(seen), REST)
    assert told.left_out[0] > 0.5 * len(around)
    still = toy_tracks(moving("still"))
    assert np.nanmax(np.abs(still - still[:, :1])) < REST


def test_points_begin_on_the_grid_where_the_mask_is() -> None:
    assert grid_points(6, 4, 2).tolist() == [[1, 1], [3, 1], [1, 3], [3, 3], [1, 5], [3, 5]]
    mask = np.zeros((64, 64), bool)
    mask[10:20, 30:50] = True
    tracks = track_points(moving("left").frames, mask=mask, spacing=4)
    assert tracks.dtype == np.float32 and (tracks[:, 0, 0] >= 30).all() and (tracks[:, 0, 1] < 20).all()
    assert len(track_points(moving("left").frames, mask=np.zeros_like(mask))) == 0
    assert track_points(moving("left").frames[:1]).shape == (1024, 1, 2)


def test_a_point_that_is_lost_stays_lost_and_none_leaves_the_frame() -> None:
    tracks = track_points(moving("left").frames)
    seen = np.isfinite(tracks[..., 0])
    assert (np.diff(seen.astype(int), axis=1) <= 0).all() and not seen.all()
    assert np.nanmin(tracks) >= -0.5 and np.nanmax(tracks) <= 63.5


def test_without_texture_or_after_a_cut_nothing_is_followed() -> None:
    assert np.isnan(track_points(np.full((3, 64, 64, 3), 90, np.uint8))[:, 1:]).all()
    draw = np.random.default_rng(0)
    noise = draw.integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    assert np.isnan(track_points(noise)[:, 1:, 0]).mean() > 0.8


def test_a_slice_shows_the_column_in_which_most_happens() -> None:
    draw = np.random.default_rng(0)
    frames = np.repeat(draw.integers(0, 255, (1, 12, 16, 3), dtype=np.uint8), 6, 0)
    frames[:, 3:9, 11] = draw.integers(0, 255, (6, 6, 3), dtype=np.uint8)
    shown, column = yt_slice(frames)
    assert column == 11 and shown.shape == (6, 12, 3) and np.array_equal(shown, frames[:, :, 11])
    assert yt_slice(frames, 4)[1] == 4 and np.array_equal(yt_slice(frames, 4)[0], frames[:, :, 4])
    assert np.allclose(variance(frames), frames.astype(float).var(0))
