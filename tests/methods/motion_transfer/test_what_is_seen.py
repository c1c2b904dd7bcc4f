"""Pictures of motion: few enough tracks to see what is under them, and none where nothing was found."""

from __future__ import annotations

import numpy as np

from pipelines.methods.motion_transfer.seen import DRAWN, draw_tracks

FRAMES = np.full((3, 64, 64, 3), 40, np.uint8)


def test_tracks_are_thinned_out_and_leave_most_of_the_picture_to_be_seen() -> None:
    start = np.stack(np.meshgrid(np.arange(1, 64, 2), np.arange(1, 64, 2)), -1).reshape(-1, 1, 2).astype(float)
    drawn = draw_tracks(FRAMES, start.repeat(3, 1))
    covered = (drawn[0] != 40).any(-1).mean()
    assert drawn.shape == (3, 256, 256, 3)
    assert 0.01 < covered < 0.25 and covered * 256**2 / 13 < 3 * DRAWN**2, "a point covers some 13 pixels"


def test_lost_points_are_not_drawn_and_no_track_leaves_the_clip_as_it_is() -> None:
    lost = np.array([[[10.0, 10], [12, 10], [np.nan, np.nan]]])
    drawn = draw_tracks(FRAMES, lost)
    assert (drawn[1] != 40).any() and (drawn[2] == 40).all()
    assert (draw_tracks(FRAMES, np.empty((0, 3, 2))) == 40).all()
