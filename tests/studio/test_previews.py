"""Previews: throttled, in memory, the last one always shown in the end."""

import time

import numpy as np

from pipelines.events import Preview
from studio.jobs.previews import KEPT, Previews


def grey(level: int, name: str = "denoised") -> Preview:
    return Preview("frames", name, level, np.full((2, 4, 4, 3), level, np.uint8))


def test_a_burst_of_previews_is_one_picture_and_its_last_is_shown_in_the_end():
    previews = Previews(interval=0.1)
    for level in range(200):
        previews.put("job", grey(level), 1.0)
        previews.state("job")
    version, names = previews.state("job")
    assert version < 20 and names == ("denoised",)
    time.sleep(0.12)
    assert previews.state("job")[0] == version + 1
    last = Previews()
    last.put("other", grey(199), 1.0)
    assert previews.draw("job") == last.draw("other")
    assert previews.state("job")[0] == version + 1


def test_a_picture_is_drawn_once_however_many_look():
    previews = Previews()
    previews.put("job", grey(9), 1.0)
    assert previews.draw("job") is previews.draw("job")


def test_only_the_newest_jobs_keep_theirs():
    previews = Previews()
    for number in range(KEPT + 5):
        previews.put(str(number), grey(1), 1.0)
    assert previews.draw("0") is None and previews.draw(str(KEPT + 4))
    previews.drop(str(KEPT + 4))
    assert previews.state(str(KEPT + 4)) == (0, ())
