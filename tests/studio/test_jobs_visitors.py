"""Several people at one queue: privacy, fairness, limits, moving, deleting and taking that back."""

import itertools

import pytest
from procedural import ended, quick, slow, wait_for

from pipelines.errors import UserError
from studio.jobs.sentences import NOT_YOURS

VERBS = ["get", "cancel", "retry", "delete", "undo_delete", "preview", "clip", "poster"]


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_reaches_a_job_that_is_not_theirs(open_jobs, verb):
    jobs = open_jobs(start=False)
    job_id = jobs.submit("ada", quick())
    for owner, wanted in (("eve", job_id), ("ada", "no-such-job-at-all"), ("ada", "../../etc/passwd")):
        with pytest.raises(UserError) as caught:
            getattr(jobs, verb)(owner, wanted)
        assert str(caught.value) == NOT_YOURS
    assert jobs.list("eve") == []
    assert jobs.get("ada", job_id).state == "queued"


def test_stopping_ones_own_job_leaves_the_others_alone(jobs):
    mine, theirs = jobs.submit("ada", slow()), jobs.submit("bob", slow())
    wait_for(jobs, "ada", mine, lambda job: job.step >= 1)
    jobs.cancel("ada", mine)
    assert wait_for(jobs, "ada", mine, ended).state == "cancelled"
    assert wait_for(jobs, "bob", theirs, lambda job: job.step >= 1).state == "running"
    jobs.cancel("bob", theirs)


def test_ids_cannot_be_guessed(open_jobs):
    jobs = open_jobs(start=False, per_visitor_limit=50)
    ids = {jobs.submit("ada", quick()) for _ in range(20)}
    assert len(ids) == 20 and all(len(job_id) >= 22 for job_id in ids)
    shared = [sum(a == b for a, b in zip(one, other, strict=True)) for one, other in itertools.combinations(ids, 2)]
    assert max(shared) < 10


def test_visitors_take_turns(open_jobs):
    jobs = open_jobs(start=False)
    ada = [jobs.submit("ada", quick(f"ada {n}")) for n in range(3)]
    bob = [jobs.submit("bob", quick(f"bob {n}")) for n in range(2)]
    places = {job_id: jobs.get(owner, job_id).position for owner, ids in (("ada", ada), ("bob", bob)) for job_id in ids}
    assert sorted(places, key=places.__getitem__) == [ada[0], bob[0], ada[1], bob[1], ada[2]]
    assert sorted(places.values()) == [0, 1, 2, 3, 4]
    jobs.start()
    for owner, job_id in (("ada", ada[2]), ("bob", bob[1])):
        wait_for(jobs, owner, job_id, ended)
    started = {job_id: jobs.get(owner, job_id).started for owner, ids in (("ada", ada), ("bob", bob)) for job_id in ids}
    assert sorted(started, key=started.__getitem__)[:3] == [ada[0], bob[0], ada[1]]


def test_a_running_job_counts_as_its_visitors_turn(jobs):
    running = jobs.submit("ada", slow())
    wait_for(jobs, "ada", running, lambda job: job.state == "running")
    waiting, theirs = jobs.submit("ada", slow()), jobs.submit("bob", slow())
    assert jobs.get("bob", theirs).position == 1 and jobs.get("ada", waiting).position == 2
    for owner, job_id in (("ada", waiting), ("bob", theirs), ("ada", running)):
        jobs.cancel(owner, job_id)


def test_moving_changes_ones_own_order_only(open_jobs):
    jobs = open_jobs(start=False)
    a, b, c = (jobs.submit("ada", quick(name)) for name in "abc")
    theirs = jobs.submit("bob", quick())
    before = jobs.get("bob", theirs).position
    jobs.move("ada", c, 0)
    assert sorted([a, b, c], key=lambda job_id: jobs.get("ada", job_id).position) == [c, a, b]
    jobs.move("ada", c, 99)
    assert sorted([a, b, c], key=lambda job_id: jobs.get("ada", job_id).position) == [a, b, c]
    assert jobs.get("bob", theirs).position == before
    jobs.cancel("ada", a)
    with pytest.raises(UserError, match="still waiting"):
        jobs.move("ada", a, 0)


def test_one_visitor_cannot_fill_the_queue_and_all_together_neither(open_jobs):
    jobs = open_jobs(start=False, per_visitor_limit=2, total_limit=3)
    first = jobs.submit("ada", quick())
    jobs.submit("ada", quick())
    with pytest.raises(UserError, match="2 jobs waiting"):
        jobs.submit("ada", quick())
    jobs.submit("bob", quick())
    with pytest.raises(UserError, match="queue is full"):
        jobs.submit("bob", quick())
    jobs.cancel("ada", first)
    jobs.submit("bob", quick())


def test_delete_can_be_taken_back_until_it_is_purged(open_jobs, tmp_path):
    jobs = open_jobs(undo_seconds=600)
    job_id = jobs.submit("ada", quick())
    done = wait_for(jobs, "ada", job_id, ended)
    jobs.delete("ada", job_id)
    assert jobs.list("ada") == []
    with pytest.raises(UserError, match=NOT_YOURS):
        jobs.clip("ada", job_id)
    jobs.undo_delete("ada", job_id)
    assert jobs.get("ada", job_id) == done and jobs.clip("ada", job_id).is_file()
    jobs.delete("ada", job_id)
    jobs.stop()
    later = open_jobs(start=False, undo_seconds=0)
    assert not (tmp_path / "home" / "jobs" / job_id).exists()
    with pytest.raises(UserError, match=NOT_YOURS):
        later.undo_delete("ada", job_id)


def test_deleting_stops_a_running_job_and_holds_back_a_queued_one(jobs):
    running, queued, last = jobs.submit("ada", slow()), jobs.submit("ada", quick("held back")), jobs.submit("ada", quick())
    wait_for(jobs, "ada", running, lambda job: job.step >= 1)
    jobs.delete("ada", queued)
    jobs.delete("ada", running)
    wait_for(jobs, "ada", last, ended)
    jobs.undo_delete("ada", running)
    assert jobs.get("ada", running).state == "cancelled"
    jobs.undo_delete("ada", queued)
    assert wait_for(jobs, "ada", queued, ended).state == "done"
