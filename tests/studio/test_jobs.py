"""The queue: from a request to a clip, in order, whatever happens on the way."""

import os
import threading
import time

import numpy as np
import pytest
from procedural import DotRequest, draw, ended, quick, slow, wait_for

from pipelines.errors import UserError
from pipelines.events import Preview, Progress, Result
from pipelines.video import read_clip, read_request
from studio.jobs.sentences import NO_MEMORY, NO_RESULT
from studio.jobs.worker import NICENESS


def test_a_request_becomes_a_clip_that_carries_its_settings(jobs):
    job_id = jobs.submit("ada", quick(seed=-1))
    job = wait_for(jobs, "ada", job_id, ended)
    assert (job.state, job.error, job.notes) == ("done", "", ("A dot was drawn.",))
    assert job.created <= job.started <= job.finished
    assert job.request["seed"] == -1 and job.seed >= 0
    frames, fps = read_clip(jobs.clip("ada", job_id))
    assert frames.shape == (5, 32, 32, 3) and fps == 8
    restored = read_request(jobs.clip("ada", job_id))
    assert isinstance(restored, DotRequest) and restored.seed == job.seed and restored.prompt == "a dot"
    assert jobs.poster("ada", job_id).read_bytes()[8:12] == b"WEBP"


def test_only_the_named_files_are_left_behind(jobs, tmp_path):
    job_id = jobs.submit("ada", quick(steps=30))
    wait_for(jobs, "ada", job_id, ended)
    folder = tmp_path / "home" / "jobs" / job_id
    assert sorted(path.name for path in folder.iterdir()) == ["clip.mp4", "poster.webp", "request.json", "steps.npz"]


def test_the_worker_steps_back_behind_the_page(jobs):
    job = wait_for(jobs, "ada", jobs.submit("ada", quick()), ended)
    assert job.values["niceness"] == max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
    assert job.values["loss"] is None  # what is not finite has no place in JSON


def test_progress_and_previews_can_be_followed_and_found_again(jobs):
    job_id = jobs.submit("ada", slow())
    job = wait_for(jobs, "ada", job_id, lambda job: job.step >= 1 and job.preview_version >= 1)
    assert (job.state, job.phase, job.total, job.position) == ("running", "drawing", 200, 0)
    assert job.seconds_left == pytest.approx((200 - job.step) * 0.3)
    assert job.previews == ("denoised",)
    first = jobs.preview("ada", job_id)
    wait_for(jobs, "ada", job_id, lambda later: later.preview_version > job.preview_version)
    second = jobs.preview("ada", job_id)
    assert first[8:12] == second[8:12] == b"WEBP" and first != second
    assert jobs.list("ada")[0].state == "running"


def test_stop_closes_the_run_within_a_step_and_the_next_job_goes_on(open_jobs):
    closed = threading.Event()

    def run(request, owner):
        try:
            yield from draw(request)
        finally:
            closed.set()

    jobs = open_jobs(run)
    first, second = jobs.submit("ada", slow()), jobs.submit("ada", quick())
    wait_for(jobs, "ada", first, lambda job: job.step >= 1)
    jobs.cancel("ada", first)
    assert jobs.get("ada", first).stopping
    job = wait_for(jobs, "ada", first, ended)
    assert job.state == "cancelled" and not job.stopping and job.step < job.total
    assert closed.is_set()
    closed.clear()
    assert wait_for(jobs, "ada", second, ended).state == "done"
    jobs.cancel("ada", second)
    assert jobs.get("ada", second).state == "done"


def test_a_queued_job_is_cancelled_at_once(open_jobs):
    jobs = open_jobs(start=False)
    job_id = jobs.submit("ada", quick())
    jobs.cancel("ada", job_id)
    assert jobs.get("ada", job_id).state == "cancelled"
    again = jobs.retry("ada", job_id)
    jobs.start()
    assert wait_for(jobs, "ada", again, ended).state == "done"
    assert jobs.get("ada", job_id).started is None


def failing(request: DotRequest, owner: str):
    """Does what the prompt says, in the middle of the run."""
    yield Progress("drawing", 1, 2)
    match request.prompt:
        case "user error":
            raise UserError("The prompt is empty; describe what the clip should show.")
        case "bug":
            raise KeyError("a secret detail")
        case "exit":
            raise SystemExit(3)
        case "memory":
            raise MemoryError
        case "allocator":
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried")
        case "silence":
            return
        case "deaf":
            try:
                for _ in range(100):
                    time.sleep(0.1)
                    yield Progress("drawing", 2, 2)
            except GeneratorExit:
                yield Progress("not listening")
    yield from draw(request)


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        ("user error", "The prompt is empty; describe what the clip should show."),
        ("memory", NO_MEMORY),
        ("allocator", NO_MEMORY),
        ("silence", NO_RESULT),
    ],
)
def test_a_failure_is_one_sentence_and_the_next_job_runs(open_jobs, prompt, error):
    jobs = open_jobs(failing)
    bad, good = jobs.submit("ada", quick(prompt)), jobs.submit("ada", quick())
    job = wait_for(jobs, "ada", bad, ended)
    assert (job.state, job.error) == ("failed", error)
    assert wait_for(jobs, "ada", good, ended).state == "done"


@pytest.mark.parametrize("prompt", ["bug", "exit"])
def test_what_nobody_expected_goes_to_the_log_and_not_to_the_person(open_jobs, caplog, prompt):
    jobs = open_jobs(failing)
    bad, good = jobs.submit("ada", quick(prompt)), jobs.submit("ada", quick())
    job = wait_for(jobs, "ada", bad, ended)
    assert job.state == "failed" and "secret" not in job.error and "\n" not in job.error
    assert wait_for(jobs, "ada", good, ended).state == "done"
    assert bad[:6] in job.error and f"job {bad[:6]} failed" in caplog.text and "Traceback" in caplog.text
    assert bad not in caplog.text


def test_a_run_that_will_not_be_closed_holds_nobody_up(open_jobs):
    jobs = open_jobs(failing)
    deaf, good = jobs.submit("ada", quick("deaf")), jobs.submit("ada", quick())
    wait_for(jobs, "ada", deaf, lambda job: job.step >= 1)
    jobs.cancel("ada", deaf)
    assert wait_for(jobs, "ada", deaf, ended).state == "cancelled"
    assert wait_for(jobs, "ada", good, ended).state == "done"


def test_a_method_that_cannot_start_is_a_failure_too(open_jobs):
    def run(request, owner):
        raise UserError("This method needs a model that is not here; download it first.")

    jobs = open_jobs(run)
    job = wait_for(jobs, "ada", jobs.submit("ada", quick()), ended)
    assert (job.state, job.error) == ("failed", "This method needs a model that is not here; download it first.")


def test_two_devices_run_two_jobs_at_once(open_jobs):
    jobs = open_jobs([draw, draw])
    first, second = jobs.submit("ada", slow()), jobs.submit("ada", slow())
    wait_for(jobs, "ada", first, lambda job: job.step >= 1)
    wait_for(jobs, "ada", second, lambda job: job.step >= 1)
    jobs.cancel("ada", first)
    jobs.cancel("ada", second)


def test_a_run_may_show_several_pictures_and_make_no_clip(open_jobs):
    shown = threading.Event()

    def run(request, owner):
        yield Preview("map", "attention", 0, np.linspace(0, 1, 64).reshape(1, 8, 8))
        yield Preview("flow", "flow", 0, np.ones((2, 8, 8, 2)))
        assert shown.wait(20)
        yield Result(request, values={"losses": np.arange(3)})

    jobs = open_jobs(run)
    job_id = jobs.submit("ada", quick())
    assert wait_for(jobs, "ada", job_id, lambda job: len(job.previews) == 2).previews == ("attention", "flow")
    assert jobs.preview("ada", job_id) == jobs.preview("ada", job_id, "flow") != jobs.preview("ada", job_id, "attention")
    assert jobs.preview("ada", job_id, "mask") is None
    shown.set()
    job = wait_for(jobs, "ada", job_id, ended)
    assert job.state == "done" and not job.has_clip and job.values == {"losses": [0, 1, 2]}
    with pytest.raises(UserError, match="no clip"):
        jobs.clip("ada", job_id)
