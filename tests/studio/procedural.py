"""A small method that draws a moving dot out of noise: real events for the queue, no model needed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from pipelines.events import Event, Preview, Progress, Result
from pipelines.requests import VideoRequest, setting
from studio.jobs import Job, Jobs


class DotRequest(VideoRequest):
    """A dot that crosses the picture."""

    method = "moving-dot"
    step_seconds: float = setting(0.0, label="Seconds per step", ge=0, le=60)


def dot(request: DotRequest) -> np.ndarray:
    """The clip, (T, H, W, 3) uint8: an orange dot from left to right."""
    rows, columns = np.mgrid[: request.height, : request.width]
    clip = np.full((request.frames, request.height, request.width, 3), 32, np.uint8)
    for index in range(request.frames):
        centre = (index + 0.5) / request.frames * request.width
        clip[index, np.hypot(rows - request.height / 2, columns - centre) < request.height / 5] = (255, 140, 40)
    return clip


def draw(request: DotRequest, owner: str = "") -> Iterator[Event]:
    """The method: the x0 estimate of step k is the clip with less and less noise."""
    request = request.with_seed()
    noise = np.random.default_rng(request.seed).integers(0, 256, dot(request).shape)
    yield Progress("drawing", 0, request.steps)
    for step in range(request.steps):
        time.sleep(request.step_seconds)
        share = (step + 1) / request.steps
        yield Preview("frames", "denoised", step, (dot(request) * share + noise * (1 - share)).astype(np.uint8))
        yield Progress("drawing", step + 1, request.steps, seconds_left=(request.steps - step - 1) * request.step_seconds)
    niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    yield Result(request, dot(request), request.fps, ("A dot was drawn.",), {"niceness": np.int64(niceness), "loss": float("nan")})


def quick(prompt: str = "a dot", **settings) -> DotRequest:
    """A request that is done in a moment."""
    return DotRequest(prompt=prompt, **{"width": 32, "height": 32, "frames": 5, "steps": 3, "seed": 7} | settings)


def slow(prompt: str = "a slow dot", **settings) -> DotRequest:
    """A request that runs for a minute unless it is stopped."""
    return quick(prompt, **{"steps": 200, "step_seconds": 0.3} | settings)


def wait_for(jobs: Jobs, owner: str, job_id: str, condition: Callable[[Job], bool], seconds: float = 20.0) -> Job:
    """The job once `condition` holds of it; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition(job := jobs.get(owner, job_id)):
        assert time.monotonic() < deadline, f"still {job}"
        time.sleep(0.01)
    return job


def ended(job: Job) -> bool:
    return job.state not in ("queued", "running")
