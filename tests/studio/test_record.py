"""The record of what a job has shown: small, bounded, on disk whole or not at all, and a sentence where it is damaged."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from matched_dot import DECIDED, run, shift
from procedural import ended, quick, slow, wait_for

from pipelines.errors import UserError
from pipelines.events import Preview, Progress, Result
from pipelines.video.times import times_of
from studio.jobs.files import STEPS, JobFiles
from studio.jobs.record import LARGEST, RecordFile, pack, unpack
from studio.jobs.records import Records
from studio.jobs.shown import LOST, index_of, matches_of

RANDOM = np.random.default_rng(0)
FRAME = np.zeros((1, 8, 8, 3), np.uint8)


def numbered(step: int, name: str = "denoised", side: int = 8) -> Preview:
    return Preview("frames", name, step, np.full((1, side, side, 3), step, np.uint8))


@pytest.fixture
def records(tmp_path) -> Records:
    return Records(JobFiles(tmp_path))


def steps_of(shown, name: str = "denoised") -> tuple[int, ...]:
    return next(named.steps for named in shown.names if named.name == name)


@pytest.mark.parametrize(
    ("kind", "array", "rounded"),
    [
        ("frames", RANDOM.integers(0, 256, (2, 6, 4, 3), dtype=np.uint8), 0),
        ("mask", RANDOM.random((2, 6, 4)) > 0.5, 0),
        ("map", RANDOM.random((2, 6, 4)), 1 / 510),
        ("flow", RANDOM.integers(-50, 50, (2, 6, 4, 2)).astype(float), 0),
        ("curve", RANDOM.random(7), 1e-6),
    ],
)
def test_what_is_kept_comes_back(kind, array, rounded):
    packed = pack(Preview(kind, "it", 3, array))
    back = unpack(kind, "it", 3, packed)
    assert (back.kind, back.name, back.step) == (kind, "it", 3) and back.array.shape == array.shape
    assert np.abs(back.array.astype(float) - array).max() <= rounded
    assert packed.nbytes <= array.nbytes


def test_a_kept_array_is_the_records_own():
    array = FRAME.copy()
    packed = pack(Preview("frames", "it", 0, array))
    array[:] = 9
    assert not packed.any()


def test_large_frames_are_kept_for_the_screen_only():
    assert pack(Preview("frames", "it", 0, np.zeros((2, 600, 1200, 3), np.uint8))).shape == (2, LARGEST // 2, LARGEST, 3)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("frames", (8, 8, 3)), ("frames", (1, 8, 8, 4)), ("flow", (1, 8, 8, 3)), ("mask", (8,)), ("map", (0, 8, 8)), ("sound", (8,))],
)
def test_what_is_no_picture_is_left_out_and_harms_nothing(records, kind, shape):
    with pytest.raises(ValueError):
        pack(Preview(kind, "it", 0, np.zeros(shape)))
    records.put("job", Preview(kind, "it", 0, np.zeros(shape)))
    records.put("job", numbered(1))
    assert [named.name for named in records.look("job").names] == ["denoised"]


def test_the_oldest_steps_thin_out_first_and_ends_stay(records):
    records.budget = 10 * FRAME.nbytes
    records.put("job", numbered(0, "reference"))
    for step in range(60):
        records.put("job", numbered(step))
        kept = steps_of(records.look("job"))
        assert kept[0] == 0 and kept[-1] == step and len(kept) <= 9
        assert max(np.diff(kept), default=1) <= 1 + 2 * (step // 8), "spread evenly"
        assert step != 9 or kept == (0, 2, 3, 4, 5, 6, 7, 8, 9), "the oldest go first"
    assert steps_of(records.look("job"), "reference") == (0,)


def test_all_jobs_together_stay_within_the_budget(records):
    records.budget = 12 * FRAME.nbytes
    for step in range(40):
        for job in ("ada", "bob"):
            records.put(job, numbered(step))
            assert sum(one.bytes for one in records._running.values()) <= records.budget
    assert steps_of(records.look("ada"))[-1] == steps_of(records.look("bob"))[-1] == 39


def test_what_never_fits_is_done_without(records):
    records.put("job", numbered(0))
    records.budget = 2 * FRAME.nbytes
    records.put("job", numbered(1, side=64))
    assert steps_of(records.look("job")) == (0,)


def test_a_later_picture_of_the_same_step_takes_the_earlier_ones_place(records):
    records.put("job", numbered(3))
    records.put("job", Preview("frames", "denoised", 3, FRAME + 77))
    shown = records.look("job")
    assert steps_of(shown) == (3,) and (shown.preview("denoised", 3).array == 77).all()
    assert records._running["job"].bytes == FRAME.nbytes


def drawn(records: Records, **settings) -> Records:
    """A finished job "job" of the dot whose places are known."""
    events = run(quick(**{"width": 64, "height": 64, "frames": 17, "steps": 10} | settings))
    for event in events:
        if isinstance(event, Preview):
            records.put("job", event)
        elif isinstance(event, Result):
            records.finish("job", event.frames)
    return records


def test_a_finished_job_leaves_one_file_with_everything(records, tmp_path):
    shown = drawn(records).look("job")
    assert isinstance(shown, RecordFile) and [path.name for path in (tmp_path / "jobs" / "job").iterdir()] == [STEPS]
    assert [named.name for named in shown.names] == ["reference", "denoised", *DECIDED, "finished"]
    assert steps_of(shown) == tuple(range(10)) and steps_of(shown, "injection mask") == (1, 2, 3)
    index = index_of(shown.names)
    assert (index["grid"], index["matched"], index["finished"]) == ([5, 8, 8], [1, 2, 3], "finished")
    with zipfile.ZipFile(tmp_path / "jobs" / "job" / STEPS) as file:
        assert all(member.endswith(".npy") for member in file.namelist())


def test_in_memory_and_on_disk_it_says_the_same(records, tmp_path):
    running = Records(JobFiles(tmp_path / "other"))
    for event in run(quick(width=64, height=64, frames=17, steps=10)):
        if isinstance(event, Preview):
            running.put("job", event)
    memory, disk = running.look("job"), drawn(records).look("job")
    assert memory.names == disk.names[:-1] and not memory.final and disk.final
    for named in memory.names:
        for step in named.steps:
            assert np.array_equal(memory.preview(named.name, step).array, disk.preview(named.name, step).array)
    assert matches_of(memory, 2) == matches_of(disk, 2)


def test_matches_say_where_everything_went(records):
    request = quick(width=64, height=64, frames=17, steps=10)
    found = matches_of(drawn(records).look("job"), 2)
    assert (found["step"], found["grid"]) == (2, [5, 8, 8])
    for frame, moved in enumerate(shift(request, 5)):
        assert found["from_reference"][frame][3][4] == [moved, 0], "x comes first, rows are y"
        assert found["to_reference"][frame][3][4 + moved] == [-moved, 0]
    assert {value for frame in found["trusted"] for row in frame for value in row} == {0, 1}


def test_matches_survive_odd_values(records):
    flow = np.zeros((1, 2, 2, 2))
    flow[0, 0, 0], flow[0, 1, 1] = (np.nan, 1), (0.25, np.inf)
    for name in ("flow to the reference", "flow from the reference"):
        records.put("job", Preview("flow", name, 0, flow))
    found = matches_of(records.look("job"), 0)
    assert found["to_reference"] == [[[[None, 1], [0, 0]], [[0, 0], [0.25, None]]]] and found["trusted"] is None
    with pytest.raises(UserError, match="no such picture"):
        matches_of(records.look("job"), 1)


@pytest.mark.parametrize(
    ("frames", "count", "times"), [(17, 5, [0, 2, 6, 10, 14]), (5, 5, [0, 1, 2, 3, 4]), (9, 1, [0]), (1, 3, [0, 0, 0])]
)
def test_latent_frames_stand_for_the_middle_of_theirs(frames, count, times):
    assert times_of(frames, count) == times


def unreadable(kind: str, whole: bytes) -> bytes:
    """A file that is not what it should be."""
    buffer = io.BytesIO()
    if kind == "objects":
        np.savez(buffer, index=np.array([{"names": []}], dtype=object))
    elif kind == "array":
        np.save(buffer, np.zeros(3))
    elif kind == "strange index":
        np.savez(buffer, index=np.frombuffer(b'{"version": 1, "names": [{"name": "x", "kind": "sound", "steps": []}]}', np.uint8))
    elif kind == "another version":
        np.savez(buffer, index=np.frombuffer(b'{"version": 2, "names": []}', np.uint8))
    return {"empty": b"", "cut": whole[: len(whole) // 2], "words": b"not a record " * 50}.get(kind, buffer.getvalue())


@pytest.mark.parametrize("kind", ["empty", "cut", "words", "objects", "array", "strange index", "another version"])
def test_a_damaged_file_is_a_sentence(records, tmp_path, kind):
    path = tmp_path / "jobs" / "job" / STEPS
    drawn(records)
    path.write_bytes(unreadable(kind, path.read_bytes()))
    with pytest.raises(UserError, match=LOST):
        records.look("job")


def test_a_damaged_picture_is_a_sentence(records, tmp_path):
    path = tmp_path / "jobs" / "job" / STEPS
    drawn(records)
    with np.load(path) as file:
        members = dict(file) | {"1.4": np.zeros((2, 2), np.float64)}
    np.savez(path, **members)
    shown = records.look("job")
    assert shown.preview("denoised", 3).array.any()
    with pytest.raises(UserError, match=LOST):
        shown.preview("denoised", 4)


def test_what_cannot_be_written_is_let_go(records, tmp_path, caplog):
    (tmp_path / "jobs" / "job").mkdir()
    (tmp_path / "jobs" / "job" / f"{STEPS}.part").symlink_to("/dev/full")
    drawn(records)
    assert "could not be kept" in caplog.text
    with pytest.raises(UserError, match=LOST):
        records.look("job")


def test_a_job_that_showed_nothing_leaves_nothing(records, tmp_path):
    records.begin("job")
    assert records.look("job").names == []
    records.finish("job")
    assert not (tmp_path / "jobs" / "job").exists()


def test_in_the_queue_a_record_comes_and_goes_with_its_job(open_jobs, tmp_path):
    jobs = open_jobs(run, undo_seconds=0)
    done = jobs.submit("ada", quick(width=64, height=64, frames=17, steps=6))
    assert wait_for(jobs, "ada", done, ended).state == "done"
    path = tmp_path / "home" / "jobs" / done / STEPS
    assert path.is_file() and len(jobs.steps("ada", done)["names"]) == 12
    with pytest.raises(UserError, match="no such job"):
        jobs.steps("eve", done)
    jobs.delete("ada", done)
    assert not path.exists()


def test_stopped_and_failed_jobs_keep_what_was_seen(open_jobs):
    def draw(request, *_):
        yield numbered(0)
        yield Progress("drawing", 1, 2)
        if request.prompt == "fail":
            raise UserError("It failed.")
        yield from run(request)

    jobs = open_jobs(draw)
    stopped, failed = jobs.submit("ada", slow()), jobs.submit("ada", quick("fail"))
    wait_for(jobs, "ada", stopped, lambda job: job.step >= 1)
    assert jobs.steps("ada", stopped)["names"][0]["steps"][0] == 0
    jobs.cancel("ada", stopped)
    assert wait_for(jobs, "ada", stopped, ended).state == "cancelled"
    assert wait_for(jobs, "ada", failed, ended).state == "failed"
    for job_id in (stopped, failed):
        assert jobs.steps("ada", job_id)["names"][0]["name"] == "denoised"


def test_a_restart_finds_the_steps_again(open_jobs):
    jobs = open_jobs(run)
    done = jobs.submit("ada", quick(width=64, height=64, frames=17, steps=6))
    wait_for(jobs, "ada", done, ended)
    known = jobs.steps("ada", done)
    jobs.stop()
    assert open_jobs(run, start=False).steps("ada", done) == known
